"""Programs: writes and waits on a register window, run as one."""
from __future__ import annotations

from typing import Callable, Iterable, Iterator, Protocol, Sequence

import numpy as np

from ..errors import BoardError, BusError, DeadlineError
from .clock import Clock

__all__ = ["PROGRAM_DTYPE", "WAIT", "WRITE", "check_program", "make_program", "make_writes", "run_plainly"]

PROGRAM_DTYPE = np.dtype([("op", "<u4"), ("offset", "<u4"), ("value", "<u4")])
WRITE = 0  # registers[offset] = value
WAIT = 1  # until (registers[offset] & value) != 0
_AT_ONCE = 4096  # steps: most programs that end early do so at one of the first


class Window(Protocol):
    """What a program runs on."""

    def read(self, offset: int) -> int:
        """As of `Registers`."""

    def write(self, offset: int, value: int) -> None:
        """As of `Registers`."""


def make_program(steps: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Program from (op, offset, value) triples; long ones are better filled with numpy."""
    return np.array([tuple(step) for step in steps], dtype=PROGRAM_DTYPE)


def make_writes(values: Iterable[tuple[int, int]]) -> np.ndarray:
    """Program of writes alone, from (offset, value) pairs; read-only, so that a window needs to check it once."""
    program = make_program([(WRITE, offset, value) for offset, value in values])
    program.setflags(write=False)
    return program


def check_program(program: np.ndarray, window: int) -> np.ndarray:
    """Refuse a program before its first access.

    Parameters
    ----------
    program : ndarray of PROGRAM_DTYPE, shape (n,)
    window : int
        Bytes of the register window.

    Raises
    ------
    BoardError
        Wrong dtype or shape, an unknown operation, or a wait for no bit.
    BusError
        An offset that is misaligned or outside the window.
    """
    if not isinstance(program, np.ndarray) or program.dtype != PROGRAM_DTYPE or program.ndim != 1:
        raise BoardError("program: expected a 1-d array of PROGRAM_DTYPE, got {}".format(
            getattr(program, "dtype", type(program).__name__)))
    if program.size == 0:
        return program
    if int(program["op"].max()) > WAIT:
        step = int(np.argmax(program["op"] > WAIT))
        raise BoardError("program step {}: unknown operation {}, expected 0 (write) or 1 (wait)".format(
            step, int(program["op"][step])))
    waits_for_nothing = (program["op"] == WAIT) & (program["value"] == 0)
    if waits_for_nothing.any():
        raise BoardError(f"program step {int(np.argmax(waits_for_nothing))}: waits for no bit at all")
    offsets = program["offset"]
    if int(offsets.max()) > window - 4 or int(np.bitwise_or.reduce(offsets)) & 3:
        bad = (offsets > max(window - 4, 0)) | ((offsets & 3) != 0)
        step = int(np.argmax(bad))
        raise BusError(f"program step {step}: offset {int(offsets[step]):#x} is misaligned "
                       f"or outside the {window} byte window")
    return program


def run_plainly(registers: Window, program: np.ndarray, clock: Clock, timeout: float,
                 idle: Callable[[int, float], None] | None = None) -> None:
    """Run a program access by access: the meaning that every faster way must keep.

    `idle(attempt, left)` is called after each read that did not show the bit: the number of such
    reads of this step before, and the seconds left.
    """
    start = clock.now()
    deadline = start + timeout
    for step, (op, offset, value) in enumerate(_steps(program)):
        if op == WRITE:
            registers.write(offset, value)
            continue
        attempt = 0
        while not registers.read(offset) & value:
            left = deadline - clock.now()
            if not left > 0:  # of NaN too
                raise DeadlineError(
                    f"step {step} of {len(program)}: register {offset:#x} showed none "
                    f"of the bits {value:#x} within {timeout:g} s; "
                    "reset the board and configure again")
            if idle is not None:
                idle(attempt, left)
            attempt += 1


def _steps(program: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Plain numbers, made as they are needed: a program of weights has a million steps."""
    for start in range(0, len(program), _AT_ONCE):
        yield from program[start : start + _AT_ONCE].tolist()
