"""Known inputs with known answers of a network: whether a board still computes what it should.

Where a network's folder has a `canary.npz` (see `canary_choice`, which chooses inputs off line so that they notice
flipped weights), its inputs are taken; else the self-test's; else random ones, answered by the software engine.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ..contracts.network import Network
from ..engines import Engine, SoftwareEngine
from ..errors import DescriptorError, WrongAnswerError
from ..files.npyfile import NPZ_ERRORS, open_npz
from ..networks.summary import weights_digest
from .answers import Answers, differences, known_answers, value_kind

__all__ = ["CANARY_FILE", "Canary", "answered"]

_log = logging.getLogger(__name__)

CANARY_FILE = "canary.npz"
_RANDOM = 16  # pictures for a network that brings none


def answered(network: Network, pictures: np.ndarray) -> Answers:
    """What the software engine says of uint8 pictures (n, pixels)."""
    with SoftwareEngine() as engine:
        engine.configure(network)
        result = engine.run(pictures)
    return Answers.of(pictures, result)


class Canary:
    """Known inputs of one network.

    Parameters
    ----------
    network : Network
    answers : Answers, optional
        By default what the network brings.

    Attributes
    ----------
    answers : Answers
    source : str
        "chosen", "self-test", "random" or "given".
    """

    def __init__(self, network: Network, answers: Answers | None = None) -> None:
        self.network = network
        if answers is not None:
            self.answers, self.source = answers, "given"
        else:
            self.answers, self.source = _brought(network)

    def __len__(self) -> int:
        return len(self.answers.pictures)

    def pair(self) -> Answers:
        """Two of them with different answers, where there are."""
        values = self.answers.values
        others = np.flatnonzero((values != values[0]).any(axis=tuple(range(1, values.ndim)))).tolist()
        return self.answers.part([0, others[0] if others else len(values) - 1])

    def check(self, engine: Engine, timeout: float | None = None, most: int | None = None) -> None:
        """Let `engine` answer, or the first `most` alone.

        Raises
        ------
        WrongAnswerError
            With the first wrong answer, and how many there are.
        AnomalyError
            What the run itself meets.
        """
        asked = self.answers if most is None else self.answers.part(slice(0, most))
        result = engine.run(asked.pictures, timeout)
        wrong = differences(self.network, asked, Answers.of(asked.pictures, result))
        if wrong:
            raise WrongAnswerError("{} of {} known inputs of {!r} wrong on {}, the first: {} instead of {}".format(
                len(wrong), len(asked.pictures), self.network.name, engine.name, wrong[0]["got"],
                wrong[0]["expected"]))


def _brought(network: Network) -> tuple[Answers, str]:
    for source, read in (("chosen", _chosen), ("self-test", known_answers)):
        try:
            found = read(network)
        except DescriptorError as error:
            _log.warning("known inputs of %s cannot be used: %s", network.name, error)
            continue
        if found is not None:
            return found._replace(pictures=np.ascontiguousarray(found.pictures), classes=None), source
    rng = np.random.RandomState(0)
    pictures: Any = rng.randint(0, 256, (_RANDOM, network.input.pixels)).astype(np.uint8)
    return answered(network, pictures), "random"


def _chosen(network: Network) -> Answers | None:
    path = None if network.path is None else network.path / CANARY_FILE
    if path is None or not path.is_file():
        return None
    name, dtype, shape, end = value_kind(network)
    try:
        with open_npz(path) as data:
            digest = bytes(data["digest"]).decode("ascii")
            pictures, found = np.ascontiguousarray(data["pictures"]), np.ascontiguousarray(data[name])
    except (KeyError, ValueError, *NPZ_ERRORS) as error:
        raise DescriptorError("{}: {}; expected arrays digest, pictures and {}".format(path, error, name)) from error
    if digest != weights_digest(network):
        raise DescriptorError("{}: made for other weights; choose the inputs again".format(path))
    if (pictures.dtype != np.uint8 or pictures.shape != (len(found), network.input.pixels) or not len(found)
            or found.dtype != dtype or found.shape[1:] != shape):
        raise DescriptorError("{}: pictures {} {} with {} {} {}".format(
            path, pictures.dtype, pictures.shape, name, found.dtype, found.shape))
    return Answers(pictures, found, name, end)
