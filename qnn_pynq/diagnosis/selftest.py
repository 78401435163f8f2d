"""Known answers of every network through every board that this machine has.

The answers lie with each network (see `answers`); plain numpy computed them from the published arithmetic. A
board that was never tested before gets the published register sequence first, and the fast one only if that gave
the right answers.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Callable, Sequence

import numpy as np

from .. import catalogue
from ..boards import emulates, open_board
from ..boards.zynq.device import fpga_present
from ..classifier.decode import make_decoder
from ..contracts.network import Network
from ..engines import BoardEngine, Engine, SoftwareEngine
from ..errors import InputError, QnnError
from ..files.replacing import replace_text
from ..overlay import Overlay
from ..reliability.answers import Answers, differences, known_answers

__all__ = ["BOARDS", "Outcome", "available_boards", "compare", "run"]

_log = logging.getLogger(__name__)

BOARDS = ("cpu", "emulated", "zynq")
_SHOWN = 5  # wrong answers in words; `mismatches` has them all


@dataclass
class Outcome:
    """One network on one board in one mode.

    Attributes
    ----------
    network, board : str
    mode : str
        "conservative" (published register sequence), "fast", or "kernels" (no overlay).
    pictures : int
        Answers that were compared.
    mismatches : list of dict
        picture, expected, got: words in hexadecimal, codes, or classes.
    note : str
        Why nothing was compared; empty otherwise.
    missing : bool
        Nothing was compared only because the network brings no answers.
    seconds : float
    """

    network: str
    board: str
    mode: str
    pictures: int = 0
    mismatches: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""
    missing: bool = False
    seconds: float = 0.0

    @property
    def wrong(self) -> bool:
        return bool(self.mismatches)

    @property
    def ok(self) -> bool:
        """No wrong answer, and nothing that should have been compared was left out."""
        return not self.wrong and (self.missing or not self.note)

    @property
    def result(self) -> str:
        if self.note:
            return "no answers" if self.missing else "not run"
        return f"{len(self.mismatches)} wrong" if self.wrong else "ok"

    @property
    def details(self) -> list[str]:
        """What is wrong, a line each."""
        head = f"{self.network} on {self.board} ({self.mode})"
        lines = [f"{head}: {self.note}"] if self.note else []
        for wrong in self.mismatches[:_SHOWN]:
            lines.append("{}: picture {picture}: expected {expected}, got {got}".format(head, **wrong))
        if len(self.mismatches) > _SHOWN:
            lines.append(f"{head}: and {len(self.mismatches) - _SHOWN} more")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {
            "network": self.network,
            "board": self.board,
            "mode": self.mode,
            "result": self.result,
            "ok": self.ok,
            "pictures": self.pictures,
            "mismatches": self.mismatches,
            "note": self.note,
            "seconds": self.seconds,
        }


def available_boards() -> tuple[str, ...]:
    """The boards of this machine: "cpu" and "emulated" everywhere, "zynq" where there is an FPGA."""
    return BOARDS if fpga_present() else BOARDS[:2]


def run(networks: Sequence[str] | None = None, boards: Sequence[str] | None = None) -> list[Outcome]:
    """Compare the known answers.

    Parameters
    ----------
    networks : sequence of str, optional
        Names or folders; by default every network found.
    boards : sequence of str, optional
        Of "cpu", "emulated" and "zynq"; by default those that this machine has.

    Returns
    -------
    list of Outcome
        What could not be run is an outcome with a note, not an exception.

    Raises
    ------
    NotFoundError, DescriptorError
        For a network that was asked for by name.
    """
    wanted = available_boards() if boards is None else tuple(dict.fromkeys(boards))
    for name in wanted:
        if name not in BOARDS:
            raise InputError("board {!r}: expected one of {}".format(name, ", ".join(BOARDS)))
    found, outcomes = _load(networks)
    for name in wanted:
        if name == "cpu":
            for network in found:
                outcomes.append(compare(network, SoftwareEngine, Outcome(network.name, name, "kernels")))
            continue
        try:
            board = open_board(name)
        except QnnError as error:
            outcomes += [Outcome(network.name, name, "fast", note=str(error)) for network in found]
            continue
        with board:
            for network in found:
                outcomes += _on_board(network, board, name)
    return outcomes


def _load(names: Sequence[str] | None) -> tuple[list[Network], list[Outcome]]:
    if names is not None:
        return [catalogue.find_network(name) for name in names], []
    found, broken = [], []
    for name, path in sorted(catalogue.networks().items()):
        try:
            found.append(catalogue.find_network(path))
        except QnnError as error:
            broken.append(Outcome(name, "any", "any", note=str(error)))
    return found, broken


def _on_board(network: Network, board: Any, name: str) -> list[Outcome]:
    if not network.overlays:
        return [Outcome(network.name, name, "fast", note="it names no overlay", missing=True)]
    try:
        overlays = catalogue.default_overlays(network, emulates(board))
    except QnnError as error:
        return [Outcome(network.name, name, "fast", note=str(error))]
    record = _record(board.name, overlays)
    outcomes = []
    for conservative in (True, False):
        mode = "conservative" if conservative else "fast"
        if conservative and not board.emulated and record.is_file():
            continue
        make = partial(BoardEngine, board, overlays, conservative)
        outcome = compare(network, make, Outcome(network.name, name, mode))
        outcomes.append(outcome)
        if outcome.wrong or outcome.note:
            break
    else:
        if not board.emulated:
            _remember(record, outcomes)
    return outcomes


def compare(network: Network, make: Callable[[], Engine], outcome: Outcome) -> Outcome:
    """Fill an outcome with what an engine says of a network's known pictures, as a batch and one by one."""
    begun = time.perf_counter()
    try:
        answers = known_answers(network)
        if answers is None:
            outcome.note, outcome.missing = "it brings no known answers", True
            return outcome
        with make() as engine:
            engine.load(network)
            outcome.mismatches = differences(network, answers, _answer(network, engine, answers))
            seen = {wrong["picture"] for wrong in outcome.mismatches}
            # A batch and single pictures take different ways through the kernels and the driver.
            for index in range(min(_SHOWN, len(answers.pictures))):
                one = answers.part(slice(index, index + 1))
                wrong = differences(network, one, _answer(network, engine, one, single=True))
                outcome.mismatches += [dict(w, picture=index) for w in wrong if index not in seen]
    except QnnError as error:
        outcome.note = str(error)
        return outcome
    outcome.pictures = len(answers.pictures)
    outcome.seconds = time.perf_counter() - begun
    _log.info("%s on %s (%s): %s", outcome.network, outcome.board, outcome.mode, outcome.result)
    return outcome


def _answer(network: Network, engine: Engine, asked: Answers, single: bool = False) -> Answers:
    """What an engine says of the pictures of `asked`."""
    if single and engine.kind == "words":
        words = np.array([engine.one(asked.pictures[0])], np.uint64)
        return Answers(asked.pictures, words, "words", asked.end)
    result = engine.run(asked.pictures)
    classes = None
    if asked.classes is not None:
        decoder = make_decoder(network, engine)
        classes = decoder.indices(decoder.outputs(result))[0]
    return Answers.of(asked.pictures, result, classes)


def _record(board: str, overlays: Sequence[Overlay]) -> Path:
    """Where it is kept that this board passed with these bitstreams."""
    parts = ["".join(c if c.isalnum() or c in "-_." else "_" for c in board)]
    for overlay in overlays:
        digest = overlay.files["bitstream"].sha256 if "bitstream" in overlay.files else "none"
        parts += [overlay.name, digest[:12]]
    return catalogue.cache_folder() / "boards" / "{}.json".format("-".join(parts))


def _remember(record: Path, outcomes: Sequence[Outcome]) -> None:
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        replace_text(record, json.dumps([outcome.as_dict() for outcome in outcomes], indent=2))
    except OSError as error:
        _log.warning("%s cannot be written (%s): the next self-test starts anew", record, error)
