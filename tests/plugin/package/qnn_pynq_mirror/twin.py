"""The circuit at register level, with its own table of registers and its own arithmetic.

=======  ========  ==========================================================================================
offset   name      what
=======  ========  ==========================================================================================
0x00     IDENTITY  reads 0x4D495252
0x04     COMMAND   1: read templates and offsets from memory; 2: compare pictures. Lost while busy.
0x08     STATUS    bit 0 busy, bit 1 finished; a write clears "finished"
0x0C     COUNT     templates to read, or pictures to compare
0x10     SOURCE    address of what is read: uint8 templates with int32 offsets behind all of them; uint8 pictures
0x14     TARGET    address of the results, int32 (pictures, templates)
=======  ========  ==========================================================================================
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qnn_pynq.errors import BusError
from qnn_pynq.testing import Clock, Fault, Memory, Twin

__all__ = ["MirrorTwin"]

_IDENTITY, _COMMAND, _STATUS, _COUNT, _SOURCE, _TARGET = range(0, 24, 4)
_BUSY, _FINISHED = 1, 2


class MirrorTwin(Twin):
    """Emulated comparator. Templates survive a reset, as memories do."""

    def __init__(self, overlay: Any, memory: Memory, clock: Clock) -> None:
        super().__init__(overlay, memory, clock)
        height, width = overlay.geometry["picture"]
        self._pixels = height * width
        self._most = overlay.geometry["templates"]
        self._cycle = 1e-6 / overlay.clock_mhz
        self._access_time = overlay.timing["access_ns"] * 1e-9
        self._templates = np.zeros((0, self._pixels), np.uint8)
        self._offsets = np.zeros(0, np.int32)
        self._gone = False
        self.reset()

    def reset(self) -> None:
        self._registers = {_COUNT: 0, _SOURCE: 0, _TARGET: 0}
        self._finished = False
        self._until: float | None = None
        self._model_end = 0.0
        self._result: tuple[int, np.ndarray] | None = None
        self._late: tuple[float, int, np.ndarray] | None = None  # behind an early "finished"
        self._silent = False  # "finished" does not show
        self._error: BusError | None = None

    @property
    def busy_until(self) -> float | None:
        return self._until

    # -- bus ---------------------------------------------------------------------------------------------

    def read(self, offset: int) -> int:
        self._touch()
        self._pass()
        value = 0 if self._gone else self._value(offset)
        self._touch()
        return value

    def _value(self, offset: int) -> int:
        if offset == _IDENTITY:
            return 0x4D495252
        if offset == _STATUS:
            return (_BUSY if self._until is not None else 0) | (_FINISHED if self._finished else 0)
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        self._touch()
        self._pass()
        if not self._gone:
            if offset == _COMMAND:
                if self._until is None and value in (1, 2):
                    self._begin(value)
            elif offset == _STATUS:
                self._finished = False
            elif offset in self._registers:
                self._registers[offset] = value
        self._touch()

    def _touch(self) -> None:
        if self.faults is not None:
            self.faults.touch()

    def _pass(self) -> None:
        """The time of an access, and what is due in it."""
        self.clock.elapse(self._access_time)
        self.modelled_seconds += self._access_time
        self.settle()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    # -- operations --------------------------------------------------------------------------------------

    def _begin(self, command: int) -> None:
        begun = self.clock.now()
        fault = self.faults.draw() if self.faults is not None else None
        if fault is not None and self._strikes_first(fault):
            return
        cycles = self._read_templates() if command == 1 else self._compare()
        seconds = self._hook("duration", cycles * self._cycle)
        if fault is not None:
            seconds = self._strikes(fault, begun, seconds)
        self._until = begun + seconds
        self._model_end = self.modelled_seconds + (seconds if math.isfinite(seconds) else 0.0)

    def _read_templates(self) -> int:
        count = min(self._registers[_COUNT], self._most)
        nbytes = count * self._pixels
        raw = self.memory.read(self._registers[_SOURCE], nbytes + 4 * count)
        self._templates = raw[:nbytes].reshape(count, self._pixels).copy()
        self._offsets = raw[nbytes:].copy().view(np.int32)
        self._result = None
        return int(self.overlay.timing["setup_cycles"]) + nbytes

    def _compare(self) -> int:
        count, each = self._registers[_COUNT], len(self._offsets)
        pictures = self.memory.read(self._registers[_SOURCE], count * self._pixels)
        self.memory.read(self._registers[_TARGET], 4 * count * each)  # somebody answers there
        # int64 and one array of all differences: not as the layer of the software engine does it.
        apart = pictures.reshape(count, 1, self._pixels).astype(np.int64) - self._templates[None]
        sums = self._offsets - np.where(apart < 0, -apart, apart).sum(axis=2)
        results = self._hook("results", sums.astype(np.int32))
        self._result = self._registers[_TARGET], results.reshape(-1).view(np.uint8)
        timing = self.overlay.timing
        return int(timing["setup_cycles"] + count * each * timing["cycles_per_template"])

    def settle(self) -> None:
        now = self.clock.now()
        if self._late is not None and now >= self._late[0]:
            (_, address, data), self._late = self._late, None
            self._deliver(address, data)
        if self._until is None or now < self._until:
            return
        self._until = None
        self.modelled_seconds = max(self.modelled_seconds, self._model_end)
        if self._result is not None:
            (address, data), self._result = self._result, None
            self._deliver(address, data)
        self._finished, self._silent = not self._silent, False

    def _deliver(self, address: int, data: np.ndarray) -> None:
        try:
            self.memory.write(address, data)
        except BusError as error:  # the buffer is gone
            self._error = error

    # -- what may go wrong -------------------------------------------------------------------------------

    def _strikes_first(self, fault: Fault) -> bool:
        """A fault before the operation; whether there is none then."""
        if fault.kind == "reprogrammed":
            self._gone, self._until, self._result, self._late = True, None, None, None
            if self.reprogrammed is not None:
                self.reprogrammed()
            return True
        if fault.kind == "bus error" and fault.amount < 0.5:
            raise BusError("the comparator met a decode error as it began (injected)")
        if fault.kind == "flip weight" and self._templates.size:
            self._templates.reshape(-1)[fault.place % self._templates.size] ^= np.uint8(1 << fault.place % 8)
        return False

    def _strikes(self, fault: Fault, begun: float, seconds: float) -> float:
        """A fault of the operation; the seconds that it takes now."""
        if fault.kind == "hang":
            self._result = None
            return math.inf
        if fault.kind == "slow":
            return seconds + fault.extra_seconds
        if fault.kind == "lost done":
            self._silent = True
        elif fault.kind == "bus error":
            self._result = None
            self._error = BusError("the comparator met a decode error (injected)")
        elif fault.kind == "done without data":
            self._result = None
        elif fault.kind == "corrupt word" and self._result is not None:
            address, data = self._result
            wrong = data.copy()
            wrong[fault.place % wrong.size] ^= 1 + fault.place % 255
            self._result = address, wrong
        elif fault.kind == "early done" and self._result is not None:
            self._late, self._result = (begun + seconds, *self._result), None
            return seconds * fault.amount
        return seconds
