"""The door to a compiled circuit: one instance of it in its harness, by ctypes."""
from __future__ import annotations

import ctypes
import threading
from pathlib import Path
from typing import NamedTuple, Sequence

import numpy as np

from ...contracts.overlay import Rtl
from ...errors import BoardError, BusError, ClosedError
from .build import build
from .stalls import Stalls

__all__ = ["Model", "Traffic", "open_model"]

_IRQ, _BUS_ERROR, _STRAY = 1, 3, 4  # as in harness.cpp; 2: a rule is broken
_CHANCE = 65536
_SEEDS = 1 << 64

_pointer, _u32, _u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
_SIGNATURES = {
    "rtl_open": (_pointer, (_u64, ctypes.POINTER(_u32))),
    "rtl_close": (None, (_pointer,)),
    "rtl_map": (None, (_pointer, ctypes.c_uint, ctypes.POINTER(_u64), ctypes.POINTER(_u64), ctypes.POINTER(_pointer))),
    "rtl_reset": (ctypes.c_int, (_pointer,)),
    "rtl_write": (ctypes.c_int, (_pointer, _u32, _u32)),
    "rtl_read": (ctypes.c_int, (_pointer, _u32, ctypes.POINTER(_u32))),
    "rtl_run": (ctypes.c_int, (_pointer, _u64, ctypes.c_int)),
    "rtl_tell": (None, (_pointer, ctypes.c_int, _u64, _u32, _u64)),
    "rtl_cycles": (_u64, (_pointer,)),
    "rtl_counts": (None, (_pointer, ctypes.POINTER(_u64))),
    "rtl_text": (ctypes.c_char_p, (_pointer,)),
    "rtl_coverage": (ctypes.c_int, (_pointer, ctypes.c_char_p)),
}


class Traffic(NamedTuple):
    """What went over a circuit's memory port.

    `reading` and `writing` are the bursts in flight, those included whose address is only offered; both 0: the port
    is quiet.
    """

    read_bursts: int
    write_bursts: int
    read_words: int
    written_words: int
    failed_reads: int
    failed_writes: int
    reading: int
    writing: int


def open_model(rtl: Rtl, seed: int, stalls: Stalls, coverage: Path | None = None) -> Model:
    """A fresh instance of a circuit, compiled if it has to be; errors as of `build`."""
    try:
        return Model(build(rtl, coverage is not None), seed, stalls, coverage)
    except OSError:  # a library that was cut short, or is of another machine
        return Model(build(rtl, coverage is not None, again=True), seed, stalls, coverage)


class Model:
    """One instance of a circuit in its harness, after its reset.

    Calls from several threads take turns; during each the interpreter is free.

    Parameters
    ----------
    library : Path
        As made by `build`.
    seed : int
        What registers and memories hold at power-up, and everything that is drawn.
    stalls : Stalls
    coverage : Path, optional
        File for what was covered, written by `close`; of a library that counts it.
    """

    def __init__(self, library: Path, seed: int, stalls: Stalls, coverage: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._given: list[tuple[int, np.ndarray]] = []
        self._alive: list[object] = []  # whatever the library may write to
        self._cycles = 0
        self._coverage = coverage
        self._handle: int | None = None
        self._library = ctypes.CDLL(str(library))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
        values = (stalls.latency, stalls.jitter, int(stalls.gap * _CHANCE), int(stalls.busy * _CHANCE),
                  stalls.outstanding, stalls.registers)
        self._handle = self._library.rtl_open(seed % _SEEDS, (_u32 * len(values))(*values))
        if not self._handle:
            raise BoardError(f"no memory for an instance of {library.name}")
        self._check(self._library.rtl_run(self._handle, 0, 0))

    def map(self, blocks: Sequence[tuple[int, np.ndarray]]) -> None:
        """Memory that the circuit sees from now on: (address, bytes) of each block."""
        with self._lock:
            given = self._given
            if len(given) == len(blocks) and all(a[1] is b[1] and a[0] == b[0] for a, b in zip(given, blocks)):
                return
            count = len(blocks)
            starts = (_u64 * count)(*(start for start, _ in blocks))
            sizes = (_u64 * count)(*(block.size for _, block in blocks))
            places = (_pointer * count)(*(block.ctypes.data for _, block in blocks))
            handle = self._open()
            self._alive = [self._given, blocks]  # until it is clear which, also after an interrupt in between
            self._library.rtl_map(handle, count, starts, sizes, places)
            self._given = list(blocks)
            self._alive = [self._given]

    def read(self, address: int) -> int:
        """A read of the register at a bus address."""
        value = _u32()
        with self._lock:
            self._check(self._library.rtl_read(self._open(), address, ctypes.byref(value)), address)
        return value.value

    def write(self, address: int, value: int) -> None:
        """A write of the register at a bus address."""
        with self._lock:
            self._check(self._library.rtl_write(self._open(), address, value), address)

    def run(self, cycles: int, until_irq: bool = False) -> bool:
        """Let time pass, at most until the interrupt line is high; whether it is at the end."""
        with self._lock:
            return self._check(self._library.rtl_run(self._open(), cycles, until_irq)) == _IRQ

    def reset(self) -> None:
        """The reset line: what is in flight is gone, memories stay."""
        with self._lock:
            self._check(self._library.rtl_reset(self._open()))

    def tell(self, write: bool, at: int, response: int, late: int) -> None:
        """How to answer the burst that comes after `at` others of its direction."""
        with self._lock:
            self._library.rtl_tell(self._open(), write, at, response, late)

    @property
    def cycles(self) -> int:
        """Since power-up, the reset included; what it was at the end once it is closed."""
        with self._lock:
            if self._handle is not None:
                self._cycles = int(self._library.rtl_cycles(self._handle))
            return self._cycles

    @property
    def traffic(self) -> Traffic:
        """What went over the memory port so far."""
        found = (_u64 * len(Traffic._fields))()
        with self._lock:
            self._library.rtl_counts(self._open(), found)
        return Traffic(*found)

    def close(self) -> None:
        """Forget the instance; idempotent."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is None:
                return
            self._cycles = int(self._library.rtl_cycles(handle))
            if self._coverage is not None:
                self._library.rtl_coverage(handle, str(self._coverage).encode())
            self._library.rtl_close(handle)
            self._given, self._alive = [], []

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()

    def _open(self) -> int:
        if self._handle is None:
            raise ClosedError("the simulated circuit is gone: the logic was configured again, or the board closed")
        return self._handle

    def _check(self, status: int, address: int = 0) -> int:
        """The status, or the error that it stands for."""
        if status in (0, _IRQ):
            return status
        text = (self._library.rtl_text(self._handle) or b"").decode(errors="replace")
        if status == _STRAY:
            raise BusError(f"{text}, outside every live buffer; check the addresses, and that no buffer was closed "
                           "during the run")
        if status == _BUS_ERROR:
            raise BusError(f"register at {address:#x}: the circuit answered with an error")
        raise BoardError(f"the simulated circuit broke a rule of the bus: {text}; it is of no more use until the "
                         "board is reset")
