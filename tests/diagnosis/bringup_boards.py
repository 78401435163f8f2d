"""Boards for the first hour: engines of any size, with a block RAM that has a stuck bit, or registers that lie."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from engine_bench.cases import Config
from engine_boards import engine_overlay

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.diagnosis.bringup.hour import Finding, Hour
from qnn_pynq.diagnosis.host import Host
from qnn_pynq.errors import BoardError
from qnn_pynq.faults import FaultPlan

__all__ = ["SIZES", "PretendedBoard", "board_of", "hour_of", "stick", "stick_program", "try_step"]

SIZES = [Config(4, 2, 4), Config(16, 1, 1), Config(32, 4, 4), Config(8, 6, 3), Config(4, 16, 8)]


def board_of(config: Config = SIZES[0], **options: Any) -> EmulatedBoard:
    board = EmulatedBoard(**options)
    board.configure(engine_overlay(config))
    return board


def hour_of(board: Any, overlay: Any = None, **options: Any) -> Hour:
    given = {"networks": (), "soak": 0.0, "host": Host(), **options}
    hour = Hour(board, overlay or board.loaded, **given)
    hour.allow(60.0)
    return hour


def try_step(step: Callable[[Hour], Finding], board: Any, **options: Any) -> Finding:
    return step(hour_of(board, **options))


def stick(board: Any, memory: str, place: tuple[int, int], bit: int, value: int) -> None:
    """A bit of "weights", "thresholds" or "banks" of the emulated circuit is always this."""
    memories = board.twin.memories
    mask = np.uint64(1 << bit)

    class Stuck(np.ndarray):
        """Forgets what is written to one bit."""

        def __setitem__(self, key: Any, content: Any) -> None:
            super().__setitem__(key, content)
            plain = np.asarray(getattr(memories, memory))
            if value:
                plain[place] |= mask
            else:
                plain[place] &= ~mask

    array = getattr(memories, memory).view(Stuck)
    setattr(memories, memory, array)
    array[...] = np.asarray(array)  # as it is, with the bit


class _StuckList(list):
    def __init__(self, words: list[int], change: Callable[[int, int], tuple[int, int]]) -> None:
        super().__init__(words)
        self._change = change

    def __setitem__(self, key: Any, value: Any) -> None:
        key, value = self._change(key, value)
        super().__setitem__(key, value)


def stick_program(board: Any, change: Callable[[int, int], tuple[int, int]]) -> None:
    """What is written to the program memory goes through `change(word's address, word)` before."""
    board.twin.program = _StuckList(board.twin.program, change)


class PretendedBoard(EmulatedBoard):
    """Says that it is an FPGA, with a clock that can be set; `limit` is what it works at."""

    emulated = False
    kind = "zynq"
    name = "pretended board"

    def __init__(self, limit: float = 1000.0, refuses: float = 0.0, factor: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.limit, self.refuses, self.factor = limit, refuses, factor
        self.clocks: list[float] = []

    @property
    def clock_mhz(self) -> float | None:
        return None if self.loaded is None else self.loaded.clock_mhz

    def configure(self, overlay: Any) -> None:
        if overlay.clock_mhz == self.refuses:
            raise BoardError(f"FCLK0 stays at 100 MHz after setting {overlay.clock_mhz:g} MHz")
        if overlay.clock_mhz > self.limit:
            self.faults = FaultPlan(rate=1.0, kinds=["corrupt word"])
        if self.clocks[-1:] != [overlay.clock_mhz]:
            self.clocks.append(overlay.clock_mhz)
        super().configure(overlay)
        if self.factor != 1.0:  # what runs is not what was set
            twin: Any = self.twin
            twin._cycle = 1e-6 / (overlay.clock_mhz * self.factor)
