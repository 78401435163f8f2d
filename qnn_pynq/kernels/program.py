"""Register programs: a C loop of volatile 32-bit accesses on a mapped window."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import KernelError
from ._check import refuse
from ._isa import ffi, lib

__all__ = ["PROGRAM_DONE", "PROGRAM_TIMEOUT", "run_program"]

PROGRAM_DONE, PROGRAM_TIMEOUT = 0, 1

_U32 = np.dtype(np.uint32)
_STEP = np.dtype([("op", "<u4"), ("offset", "<u4"), ("value", "<u4")])
_LONGEST = 1e9  # seconds; int64 nanoseconds hold 9.2e9


def run_program(window: Any, program: np.ndarray, timeout: float, window_bytes: int = 0) -> tuple[int, int]:
    """Make register accesses in order.

    Parameters
    ----------
    window : uint32 array (n,), or int
        The mapped registers, or their address in this process (then window_bytes is needed).
    program : array (steps,) of op, offset, value (3 x uint32)
        op 0 writes value at the byte offset, op 1 waits until (register & value) != 0.
    timeout : float
        Seconds for the whole program, on CLOCK_MONOTONIC; looked at while waiting.

    Returns
    -------
    (status, step) : PROGRAM_DONE and the number of steps, or PROGRAM_TIMEOUT and the index of the waiting step.

    Raises
    ------
    KernelError
        A bad array, an unknown op, or an offset that is not a multiple of 4 or lies outside; nothing
        was accessed then.
    """
    refuse(program, "program", _STEP, (None,))
    if program.__array_interface__["data"][0] % 4:  # a dtype of fields has alignment 1 in numpy, 4 in C
        raise KernelError("program is not aligned to 4 bytes: copy it")
    if not 0 <= timeout:  # refuses NaN too
        raise KernelError(f"timeout is {timeout!r}, expected seconds >= 0")
    if isinstance(window, np.ndarray):
        refuse(window, "window", _U32, (None,), writable=True)
        window_bytes = window.nbytes
        where = ffi.from_buffer(window)
    else:
        if window <= 0 or window % 4:
            raise KernelError(f"window is at address {window:#x}, expected a multiple of 4 above 0")
        if window_bytes < 4:
            raise KernelError(
                f"window_bytes is {window_bytes}, expected at least 4 for a window given by address"
            )
        where = ffi.cast("void *", window)
    if not len(program):
        return PROGRAM_DONE, 0
    reached = ffi.new("size_t *")
    nanoseconds = int(min(timeout, _LONGEST) * 1e9)
    status = lib.qnn_run_program(where, window_bytes, ffi.from_buffer(program), len(program), nanoseconds, reached)
    step = reached[0]
    if status > 1:
        op, offset, _ = program[step].tolist()
        if status == 2:
            raise KernelError(f"step {step} has op {op}, expected 0 (write) or 1 (wait)")
        raise KernelError(
            f"step {step} has offset {offset:#x}, expected a multiple of 4 below the window's {window_bytes:#x} bytes"
        )
    return status, step
