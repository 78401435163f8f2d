"""Registers of the real logic through pynq's MMIO: on this machine, or behind PYNQ.remote."""
from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ...contracts.board import Registers
from ...contracts.clock import Clock
from ...contracts.program import check_program, run_plainly
from ...errors import BoardError, BusError, DeadlineError, QnnError

__all__ = ["RemoteRegisters", "ZynqRegisters"]

_CALL = 0.005  # seconds of one call over a slow network; 0.2 ms on loopback


class _Board(Protocol):
    """What a window asks of its board."""

    clock: Clock
    generation: int

    def check_usable(self) -> None:
        """BusError after an access that the logic did not answer."""

    def fail(self, error: BaseException, what: str) -> BusError:
        """Mark the logic as unusable; the error to raise."""


class ZynqRegisters(Registers):
    """Window onto an IP; on real memory maps programs run in the C loop."""

    def __init__(self, board: _Board, mmio: Any) -> None:
        self._board = board
        self._generation = board.generation
        self._mmio = mmio  # keeps the mapping alive
        self._array = mmio.array
        self.window = int(mmio.length)
        self._good: np.ndarray | None = None  # the last program
        self.mapped = isinstance(self._array, np.ndarray) and self._array.dtype == np.uint32

    def _check(self, offset: int) -> int:
        self._board.check_usable()
        if self._generation != self._board.generation:
            # An address without a slave behind it stalls the processor for good.
            raise BoardError("the logic was configured again: take the registers from board.ip() anew")
        return self.check(offset)

    def read(self, offset: int) -> int:
        index = self._check(offset) >> 2
        try:
            return int(self._array[index])
        except QnnError:
            raise
        except Exception as error:
            raise self._board.fail(error, f"a read of register {offset:#x}") from error

    def write(self, offset: int, value: int) -> None:
        if not isinstance(value, (int, np.integer)) or not 0 <= value <= 0xFFFFFFFF:
            raise BoardError(f"register value {value!r}: expected an integer of 0..2**32-1")
        index = self._check(offset) >> 2
        try:
            self._array[index] = int(value)
        except QnnError:
            raise
        except Exception as error:
            raise self._board.fail(error, f"a write of register {offset:#x}") from error

    def run_program(self, program: np.ndarray, timeout: float) -> None:
        if program is not self._good:
            check_program(program, self.window)
            self._good = None if program.flags.writeable else program  # it stays as it is
        if not self.mapped:
            run_plainly(self, program, self._board.clock, timeout)
            return
        from ...kernels import PROGRAM_DONE, run_program

        self._check(0)
        status, step = run_program(self._array, program, timeout)
        if status != PROGRAM_DONE:
            _, offset, value = program[step].tolist()
            raise DeadlineError(f"step {step} of {len(program)}: register {offset:#x} showed none of the "
                                f"bits {value:#x} within {timeout:g} s; reset the board and configure again")


class RemoteRegisters(ZynqRegisters):
    """Window onto an IP of a PYNQ.remote board: each access is a call over the network."""

    def __init__(self, board: _Board, mmio: Any) -> None:
        super().__init__(board, mmio)
        self._array = _Words(mmio)
        self.mapped = False

    def run_program(self, program: np.ndarray, timeout: float) -> None:
        """As everywhere; `timeout` is the circuit's, the network gets its own share of time."""
        super().run_program(program, timeout + _CALL * len(program))


class _Words:
    """MMIO as an array of words: pynq's own array for remote windows costs a call more."""

    def __init__(self, mmio: Any) -> None:
        self._mmio = mmio

    def __getitem__(self, index: int) -> int:
        return int(self._mmio.read(4 * index))

    def __setitem__(self, index: int, value: int) -> None:
        self._mmio.write(4 * index, value)
