"""What the steps of the first hour have in common: the board, the time that is left, and what a step finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Callable, NamedTuple

from ...contracts.board import Board
from ...contracts.network import Network
from ...contracts.overlay import Overlay
from ..host import Host
from .bench import Bench

__all__ = ["FAILED", "LIMIT", "NOT_HERE", "OK", "Finding", "Hour", "Step"]

OK, FAILED = "ok", "failed"
NOT_HERE = "not here"  # nothing on this board that could be looked at
LIMIT = "limit"  # it fails beyond what the overlay is made for


class Finding(NamedTuple):
    """What a step found: a state, a sentence, and plain values for the file."""

    state: str
    text: str
    details: dict[str, Any] = {}


@dataclass
class Hour:
    """The hour as its steps see it.

    Attributes
    ----------
    real : Board
    board : Board
        Of the step that runs: the real one behind a recorder, or itself.
    overlay : Overlay
    networks : tuple of Network
    soak : float
        Seconds.
    host : Host
        The machine of the board.
    tell : callable(done, total)
        How far a step has come.
    recordings : dict
        Recordings that a step made, by name: the bytes of a file.
    """

    real: Board
    overlay: Overlay
    networks: tuple[Network, ...]
    soak: float
    host: Host
    tell: Callable[[int, int], None] = lambda done, total: None
    board: Board = field(init=False)
    recordings: dict[str, bytes] = field(default_factory=dict)
    _end: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.board = self.real

    def allow(self, seconds: float) -> None:
        """So much time from now on."""
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Seconds of the step that are left."""
        return self._end - monotonic()

    def bench(self) -> Bench:
        """For programs of a step's own; the circuit is idle then."""
        bench = Bench(self.board, self.overlay, self.left)
        bench.begin()
        return bench


class Step(NamedTuple):
    """One step.

    Attributes
    ----------
    name : str
    proves : str
        What is known when it has passed.
    remedy : str
        What to do when it has not.
    run : callable(Hour) -> Finding
    limit : float
        Seconds; a simulated circuit has 20 times as many.
    needs : tuple of str
        Steps without which it is not tried.
    records : bool
        Whether every access of it goes into the file.
    beyond : bool
        The overlay is not made for it: that it fails is a finding, and no fault of the board.
    """

    name: str
    proves: str
    remedy: str
    run: Callable[[Hour], Finding]
    limit: float = 60.0
    needs: tuple[str, ...] = ()
    records: bool = False
    beyond: bool = False
