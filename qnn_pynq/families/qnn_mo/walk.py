"""One batch's way through the multi-layer offload circuit: loads, runs, waits, and the moves between layers."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Callable, Sequence

import numpy as np

from ...contracts.board import Board
from ...contracts.driver import LayerProfile
from ...errors import NoDataError
from ..blocks.hls_control import CTRL, START
from .buffers import OffloadBuffers
from .plan_parts import Plan, Run
from .registers import load_registers, run_registers

__all__ = ["Walk", "circuit_seconds"]


def circuit_seconds(overlay: Any, cycles: int) -> float:
    """Seconds of so many cycles."""
    return float(cycles * 1e-6 / overlay.clock_mhz)


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
    conservative : bool
        Every register before every start.
    sentinels : bool
        Look whether each run wrote its maps.

    Attributes
    ----------
    transfer : float
        Seconds of moves and cache maintenance so far.
    """

    def __init__(self, board: Board, overlay: Any, buffers: OffloadBuffers, plan: Plan, pictures: int,
                 wait: Callable[[float, float, Any, float, Any], float], conservative: bool,
                 sentinels: bool = False) -> None:
        self._board = board
        self._overlay = overlay
        self._buffers = buffers
        self._plan = plan
        self._pictures = pictures
        self._await = wait
        self._conservative = conservative
        self._sentinels = sentinels
        self._sentinel = 0
        self._shadow: dict[int, int] = {}  # what the registers hold
        self._started = 0.0
        self._seconds = [0.0] * len(plan.stages)
        self.transfer = 0.0

    def begin(self) -> None:
        """Start the first load."""
        self._load(self._plan.runs[0])

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
                self._load(run)
            self._seconds[number] += self._wait(run.load_cycles, timeout, what + ", load")
            if self._sentinels:
                self._put_sentinels(run)
            for picture in range(pictures):
                source = buffers.address(run.source, picture, pictures) + run.skip
                self._start(run_registers(run, source, buffers.address(run.target, picture, pictures)))
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

    def _load(self, run: Run) -> None:
        self._start(load_registers(run, self._buffers.image_address(run.weights_at), self._conservative))

    def _start(self, values: Sequence[tuple[int, int]]) -> None:
        registers = self._board.ip(self._overlay.ip.name)
        for reg, value in values:
            if self._conservative or self._shadow.get(reg) != value:
                registers.write(reg, value)
                self._shadow[reg] = value
        self._started = self._board.accelerator_seconds
        registers.write(CTRL, START)

    def _wait(self, cycles: int, timeout: float | None, what: str) -> float:
        """Seconds of the circuit since `_start`."""
        expected = circuit_seconds(self._overlay, cycles)
        # The model is a lower bound; clocks are not exact.
        return self._await(expected, 0.95 * expected, timeout, self._started, ("{}, {}", self._overlay.name, what))
