"""One batch's way through the multi-layer offload circuit: loads, runs, waits, and the moves between layers."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Callable, Sequence

import numpy as np

from ...contracts.board import Board
from ...contracts.driver import LayerProfile
from ...contracts.program import make_writes
from ...errors import NoDataError
from ..blocks.hls_control import CTRL, START
from .buffers import OffloadBuffers
from .plan import Plan, Run
from .registers import load_registers, run_registers

__all__ = ["StartPrograms", "Walk", "circuit_seconds"]

_NO_WAIT = 1.0  # seconds of a program in which nothing is waited for


def circuit_seconds(overlay: Any, cycles: int) -> float:
    """Seconds of so many cycles."""
    return float(cycles * 1e-6 / overlay.clock_mhz)


class StartPrograms:
    """What to write for each load and run of a batch; kept for the next batch of as many pictures."""

    def __init__(self) -> None:
        self._key: Any = (None, None, 0)
        self._programs: list[np.ndarray] = []

    def of(self, plan: Plan, buffers: OffloadBuffers, pictures: int, conservative: bool) -> Sequence[np.ndarray]:
        """Programs in the order of the circuit: the load of a run, then one start for each picture.

        Parameters
        ----------
        plan, buffers, pictures
            As for `Walk`.
        conservative : bool
            Every register before every start; else those that the circuit does not hold already.
        """
        former, areas, count = self._key
        if former is not plan or areas is not buffers.areas or count != pictures:
            self._programs = _programs(plan, buffers, pictures, conservative)
            self._key = plan, buffers.areas, pictures  # areas that grow are another list
        return self._programs


def _programs(plan: Plan, buffers: OffloadBuffers, pictures: int, conservative: bool) -> list[np.ndarray]:
    made: list[np.ndarray] = []
    held: dict[int, int] = {}  # by the registers

    def add(values: Sequence[tuple[int, int]]) -> None:
        changed = [pair for pair in values if conservative or held.get(pair[0]) != pair[1]]
        held.update(changed)
        made.append(make_writes([*changed, (CTRL, START)]))

    for run in plan.runs:
        add(load_registers(run, buffers.image_address(run.weights_at), conservative))
        for picture in range(pictures):
            source = buffers.address(run.source, picture, pictures) + run.skip
            add(run_registers(run, source, buffers.address(run.target, picture, pictures)))
    return made


class Walk:
    """A batch in the circuit: `begin` starts the first load, `finish` does everything else.

    Parameters
    ----------
    board : Board
    overlay : Overlay
    buffers : OffloadBuffers
        Of the plan, with the input flushed.
    plan : Plan
    pictures : int
    wait : callable
        `PolledDriver._await`.
    programs : sequence of array
        What starts the loads and runs, in their order: `StartPrograms`.
    sentinels : bool
        Look whether each run wrote its maps.

    Attributes
    ----------
    transfer : float
        Seconds of moves and cache maintenance so far.
    """

    def __init__(self, board: Board, overlay: Any, buffers: OffloadBuffers, plan: Plan, pictures: int,
                 wait: Callable[[float, float, Any, float, Any], float], programs: Sequence[np.ndarray],
                 sentinels: bool = False) -> None:
        self._board = board
        self._overlay = overlay
        self._buffers = buffers
        self._plan = plan
        self._pictures = pictures
        self._await = wait
        self._programs = iter(programs)
        self._registers = board.ip(overlay.ip.name)
        self._sentinels = sentinels
        self._sentinel = 0
        self._started = 0.0
        self._seconds = [0.0] * len(plan.stages)
        self.transfer = 0.0

    def begin(self) -> None:
        """Start the first load."""
        self._start()

    def finish(self, timeout: float | None) -> np.ndarray:
        """Go on to the last map, uint8 (pictures, H, W, channels); each wait has `timeout` seconds."""
        plan, buffers, pictures = self._plan, self._buffers, self._pictures
        for index, (number, run) in enumerate(plan.order):
            stage = plan.stages[number]
            if stage.moves and run is stage.runs[0]:
                begun = perf_counter()
                buffers.gather(stage, pictures)
                self.transfer += perf_counter() - begun
            what = f"run {index + 1} of {len(plan.order)} ({stage.step.name})"
            if index:
                self._start()
            self._seconds[number] += self._wait(run.load_cycles, timeout, what + ", load")
            if self._sentinels:
                self._put_sentinels(run)
            for picture in range(pictures):
                self._start()
                self._seconds[number] += self._wait(run.run_cycles, timeout, what + f", picture {picture}")
            if self._sentinels:
                self._check_sentinels(run, what)
        begun = perf_counter()
        codes = buffers.codes(pictures)
        self.transfer += perf_counter() - begun
        return codes

    def profile(self) -> tuple[LayerProfile, ...]:
        """What each layer took."""
        return tuple(
            LayerProfile(stage.step.layer, stage.step.name, len(stage.runs), sum(run.macs for run in stage.runs),
                         sum(run.load_cycles for run in stage.runs), sum(run.run_cycles for run in stage.runs),
                         seconds, self._pictures)
            for stage, seconds in zip(self._plan.stages, self._seconds)
        )

    def _put_sentinels(self, run: Run) -> None:
        begun = perf_counter()
        self._sentinel = self._sentinel + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        self._buffers.put_sentinels(run.target, self._pictures, self._sentinel)
        self.transfer += perf_counter() - begun

    def _check_sentinels(self, run: Run, what: str) -> None:
        begun = perf_counter()
        missing = self._buffers.unwritten(run.target, self._pictures, self._sentinel)
        self.transfer += perf_counter() - begun
        if missing:
            raise NoDataError(f"{self._overlay.name}, {what}: done, but {missing} of {self._pictures} maps were never "
                              "written")

    def _start(self) -> None:
        """The next load or run."""
        board, program = self._board, next(self._programs)
        self._started = board.accelerator_seconds
        self._registers.run_program(program, _NO_WAIT)
        if board.emulated:  # there the moment of the start is known exactly
            self._started = board.accelerator_seconds

    def _wait(self, cycles: int, timeout: float | None, what: str) -> float:
        """Seconds of the circuit since `_start`."""
        expected = circuit_seconds(self._overlay, cycles)
        # The model is a lower bound; clocks are not exact.
        return self._await(expected, 0.95 * expected, timeout, self._started, ("{}, {}", self._overlay.name, what))
