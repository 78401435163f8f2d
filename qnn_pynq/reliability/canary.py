"""Known inputs with known answers of a network: whether a board still computes what it should.

Where a network's folder has a `canary.npz` (see `canary_choice`, which chooses inputs off line so that they notice
flipped weights), its inputs are taken; else the self-test's; else random ones, answered by the software engine.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from ..contracts.network import Network
from ..engines import Engine, SoftwareEngine
from ..errors import DescriptorError, WrongAnswerError
from ..files.npyfile import NPZ_ERRORS, Header, open_npz
from ..networks.summary import weights_digest
from .answers import MOST_ANSWERS, Answers, differences, known_answers, value_kind

__all__ = ["CANARY_FILE", "Canary", "answered"]

_log = logging.getLogger(__name__)

CANARY_FILE = "canary.npz"
_DIGEST = 64  # hexadecimal digits
_RANDOM = 16  # pictures for a network that brings none


def answered(network: Network, pictures: np.ndarray) -> Answers:
    """What the software engine says of uint8 pictures (n, pixels)."""
    with SoftwareEngine() as engine:
        engine.load(network)
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
    pictures: Any = rng.randint(0, network.input.encoding.levels, (_RANDOM, network.input.pixels)).astype(np.uint8)
    return answered(network, pictures), "random"


def _chosen(network: Network) -> Answers | None:
    path = None if network.path is None else network.path / CANARY_FILE
    if path is None or not path.is_file():
        return None
    name, dtype, shape, end = value_kind(network)
    try:
        with open_npz(path, MOST_ANSWERS) as data:
            _check_headers(path, network, name, data.header("pictures"), data.header(name))
            if data.header("digest").nbytes != _DIGEST:
                raise ValueError("digest of {} bytes instead of {}".format(data.header("digest").nbytes, _DIGEST))
            digest = bytes(data["digest"]).decode("ascii")
            pictures, found = np.ascontiguousarray(data["pictures"]), np.ascontiguousarray(data[name])
    except DescriptorError:
        raise
    except (KeyError, ValueError, *NPZ_ERRORS) as error:
        raise DescriptorError(f"{path}: {error}; expected arrays digest, pictures and {name}") from error
    if digest != weights_digest(network):
        raise DescriptorError(f"{path}: made for other weights; choose the inputs again")
    if int(pictures.max()) >= network.input.encoding.levels:
        most = network.input.encoding.levels - 1
        raise DescriptorError(f"{path}: pictures has a {pictures.max()}, expected codes from 0 to {most}")
    return Answers(pictures, found, name, end)


def _check_headers(path: Path, network: Network, name: str, pictures: Header, found: Header) -> None:
    _, dtype, shape, _ = value_kind(network)
    count = found.shape[0] if found.shape else 0
    if (pictures.dtype != np.uint8 or pictures.shape != (count, network.input.pixels) or not count
            or found.dtype != dtype or found.shape[1:] != shape):
        raise DescriptorError(f"{path}: pictures {pictures.dtype} {pictures.shape} with {name} {found.dtype} "
                              f"{found.shape}")
