"""What twins of HLS blocks share: the control registers at 0x00 to 0x0C, busy times, results that come late."""
from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, Iterable

import numpy as np

from ...contracts.clock import Clock
from ...contracts.program import WRITE
from ...contracts.twin import Memory, Twin
from ...errors import BusError
from ...faults import Fault

__all__ = ["ControlRegisters", "ControlTwin"]

# Not shared with the driver: one wrong table would agree with itself.
_CTRL, _GIER, _IER, _ISR = 0x00, 0x04, 0x08, 0x0C
_START, _DONE, _IDLE, _READY, _AUTO_RESTART = 0x01, 0x02, 0x04, 0x08, 0x80
_SHORT = 64  # steps of a program that starts a run, and more


class ControlRegisters:
    """The registers of ap_ctrl_hs and of its interrupt: done clears on read, interrupt bits toggle on write.

    Parameters
    ----------
    ready : bool
        Whether the ready bit shows with done.

    Attributes
    ----------
    done, auto_restart, enabled : bool
        `enabled`: some interrupt of the block is.
    """

    last = _ISR  # offset; arguments lie behind it

    def __init__(self, ready: bool = False) -> None:
        self._shown = _DONE | _READY if ready else _DONE
        self.reset()

    def reset(self) -> None:
        self.done = self.auto_restart = False
        self._gier = self._ier = self._isr = 0

    def read(self, offset: int, busy: bool) -> int:
        if offset == _CTRL:
            value = ((_START if busy else _IDLE) | (self._shown if self.done else 0)
                     | (_AUTO_RESTART if self.auto_restart else 0))
            self.done = False  # clear on read
            return value
        return {_GIER: self._gier, _IER: self._ier, _ISR: self._isr}.get(offset, 0)

    def write(self, offset: int, value: int, busy: bool) -> bool:
        """Store; whether a run begins: a start while busy is lost."""
        if offset == _CTRL:
            self.auto_restart = bool(value & _AUTO_RESTART)
            return bool(value & _START) and not busy
        if offset == _GIER:
            self._gier = value & 1
        elif offset == _IER:
            self._ier = value & 3
        elif offset == _ISR:
            self._isr ^= value & 3
        return False

    def finish(self, done: bool = True) -> None:
        """The run is over, and says so or not."""
        self.done = done
        if done:
            self._isr |= self._ier

    @property
    def enabled(self) -> bool:
        return bool(self._ier)

    @property
    def interrupt(self) -> bool:
        return bool(self._gier and self._isr)


class ControlTwin(Twin):
    """A block with ap_ctrl_hs registers: done clears on read, a start while busy is lost.

    Parameters
    ----------
    overlay, memory, clock
        As for `Twin`.
    arguments : iterable of int
        Offsets of the argument registers.
    flag : int
        The one of them that has a single bit.
    window : int
        Bytes that the block decodes.

    Attributes
    ----------
    registers : dict
        Values of the argument registers by offset.
    control : ControlRegisters
    """

    def __init__(self, overlay: Any, memory: Memory, clock: Clock, arguments: Iterable[int], flag: int,
                 window: int) -> None:
        super().__init__(overlay, memory, clock)
        self._arguments = tuple(int(offset) for offset in arguments)
        self._flag = flag
        self._decoded = window - 4
        self._cycle = 1e-6 / overlay.clock_mhz
        self._write_time = overlay.timing["write_access_ns"] * 1e-9
        self._read_time = overlay.timing["read_access_ns"] * 1e-9
        self.control = ControlRegisters()
        self._gone = False  # somebody else's circuit is in the logic now
        self.reset()

    @abstractmethod
    def _operate(self) -> float:
        """Do what the arguments say, with the output in `_result`; the seconds that it takes, inf when it hangs."""

    def _argument(self, offset: int) -> int:
        """What a read of an argument register gives."""
        return self.registers.get(offset, 0)

    def reset(self) -> None:
        self.registers = dict.fromkeys(self._arguments, 0)
        self.control.reset()
        self._busy_until: float | None = None
        self._model_end = 0.0
        self._result: tuple[int, np.ndarray] | None = None  # address, bytes
        self._late: list[tuple[float, int, np.ndarray]] = []  # results behind an early done: moment, address, bytes
        self._lost_done = False
        self._bus_error: BusError | None = None

    @property
    def busy_until(self) -> float | None:
        return self._busy_until

    @property
    def interrupt(self) -> bool:
        self.settle()
        return self.control.interrupt

    # -- bus ----------------------------------------------------------------------------------
    def read(self, offset: int) -> int:
        if self.faults is None:
            return self._read(offset)
        self.faults.touch()
        value = 0 if self._gone else self._read(offset)
        self.faults.touch()
        return value

    def write(self, offset: int, value: int) -> None:
        if self.faults is None:
            self._write(offset, value)
            return
        self.faults.touch()
        if not self._gone:
            self._write(offset, value)
        self.faults.touch()

    def _read(self, offset: int) -> int:
        if self._busy_until is not None or self._late or self._bus_error is not None:
            self._access(self._read_time)
            return self._shown(offset & self._decoded)
        value = self._shown(offset & self._decoded)  # which time does not change
        self.clock.elapse(self._read_time)
        self.modelled_seconds += self._read_time
        return value

    def _shown(self, reg: int) -> int:
        """What a read gives; it takes a done away."""
        if reg <= ControlRegisters.last:
            return self.control.read(reg, self._busy_until is not None)
        return self._argument(reg)

    def _write(self, offset: int, value: int) -> None:
        now = self._access(self._write_time)
        self._take(offset & self._decoded, value, now)

    def _take(self, reg: int, value: int, now: float) -> None:
        """What a write changes."""
        if reg <= ControlRegisters.last:
            if self.control.write(reg, value, self._busy_until is not None):
                self._start(now)
        elif reg in self.registers:
            self.registers[reg] = value & 1 if reg == self._flag else value

    def _access(self, seconds: float) -> float:
        """Let the time of an access pass; the moment that it is then."""
        self.settle()
        now = self.clock.elapse(seconds)
        self.modelled_seconds += seconds
        if self._busy_until is not None or self._late:
            self._settle(now)
        if self._bus_error is not None:
            error, self._bus_error = self._bus_error, None
            raise error
        return now

    # -- many accesses as one -----------------------------------------------------------------
    @property
    def _undisturbed(self) -> bool:
        """Whether nothing but accesses and the run in flight can change anything."""
        return (self.faults is None and not self._faults and not self._late and self._bus_error is None
                and not self.control.auto_restart and not self._lost_done)

    def run_program(self, program: np.ndarray, timeout: float) -> bool:
        """Writes to an idle circuit that end with its start, at once; anything else access by access."""
        if self._busy_until is not None or len(program) > _SHORT or not self._undisturbed:
            return False
        decoded, steps = self._decoded, program.tolist()
        for op, offset, _ in steps[:-1]:
            if op != WRITE or offset & decoded <= ControlRegisters.last:
                return False
        if not steps or steps[-1][0] != WRITE:
            return False
        now = self.clock.elapse(self._write_time, len(steps))
        for _, offset, value in steps:
            self.modelled_seconds += self._write_time
            self._take(offset & decoded, value, now)
        return True

    def wait(self, offset: int, mask: int, timeout: float) -> int:
        """A run that ends in time, and shows it at the second look."""
        end, control, spent = self._busy_until, self.control, self._read_time
        if end is None or offset & self._decoded != _CTRL or not mask & _DONE or mask & _START or control.done:
            return 0
        if not self._undisturbed:
            return 0
        clock = self.clock
        first = clock.now()
        if not first + spent < end < first + timeout:
            return 0
        clock.elapse(spent)
        clock.sleep_until(end)
        clock.elapse(spent)
        self.modelled_seconds += spent
        self._settle(end)
        self.modelled_seconds += spent
        if self._bus_error is not None:
            error, self._bus_error = self._bus_error, None
            raise error
        return control.read(_CTRL, False) & mask

    # -- runs ---------------------------------------------------------------------------------
    def _start(self, begun: float) -> None:
        # Begun before it is computed: on a real clock, what emulation takes is part of the modelled time.
        fault = None if self.faults is None else self._injected()
        if fault is not None:
            self._before(fault)
            if self._gone:
                return
        seconds = self._operate()
        if self._faults:
            seconds = self._hook("duration", seconds)
        if fault is not None:
            seconds = self._after(fault, begun, seconds)
        self._busy_until = begun + seconds
        self._model_end = self.modelled_seconds + (seconds if math.isfinite(seconds) else 0.0)

    def settle(self) -> None:
        if self._busy_until is not None or self._late:
            self._settle(self.clock.now())

    def _settle(self, now: float) -> None:
        while self._late and now >= self._late[0][0]:
            self._deliver(*self._late.pop(0)[1:])
        if self._busy_until is None or now < self._busy_until:
            return
        self._busy_until = None
        self.modelled_seconds = max(self.modelled_seconds, self._model_end)
        if self._result is not None:
            address, data = self._result
            self._result = None
            self._deliver(address, data)
        self.control.finish(bool(self._hook("done", not self._lost_done)) if self._faults else not self._lost_done)
        self._lost_done = False
        if self.control.auto_restart:
            try:
                self._start(self.clock.now())
            except BusError as error:
                self._bus_error = error

    def _deliver(self, address: int, data: np.ndarray) -> None:
        try:
            self.memory.write(address, data)
        except BusError as error:  # the buffer was closed during the run; the next access says so
            self._bus_error = error

    # -- faults -------------------------------------------------------------------------------
    def _injected(self) -> Fault | None:
        """The fault of the run that begins now."""
        assert self.faults is not None
        return self.faults.draw()

    def _flip_weight(self, fault: Fault) -> None:
        """Turn one weight bit round, where the circuit has weights."""

    def _before(self, fault: Fault) -> None:
        """What a fault does before the run."""
        if fault.kind == "flip weight":
            self._flip_weight(fault)
        elif fault.kind == "reprogrammed":
            self._vanish()
        elif fault.kind == "bus error" and fault.amount < 0.5:
            raise BusError("the logic met a decode error as it began (injected)")

    def _after(self, fault: Fault, begun: float, seconds: float) -> float:
        """What it does to the run; the seconds that the run takes."""
        if fault.kind == "hang":
            self._result = None
            return math.inf
        if fault.kind == "slow":
            return seconds + fault.extra_seconds
        if fault.kind == "lost done":
            self._lost_done = True
        elif fault.kind == "bus error":
            self._result = None
            self._bus_error = BusError("the logic met a decode error (injected)")
        elif self._result is not None:
            address, data = self._result
            if fault.kind == "done without data":
                self._result = None
            elif fault.kind == "corrupt word":
                words = data.copy()
                place = fault.place % (words.size // 8)
                words.view(np.uint64)[place] ^= np.uint64(1 + fault.place % (2**64 - 1))
                self._result = address, words
            elif fault.kind == "early done" and math.isfinite(seconds):
                self._result = None
                self._late.append((begun + seconds, address, data))
        return seconds * fault.amount if fault.kind == "early done" else seconds

    def _vanish(self) -> None:
        self._gone, self._busy_until, self._result, self._late = True, None, None, []
        if self.reprogrammed is not None:
            self.reprogrammed()

    def _address(self, low: int) -> int:
        """Of the memory that a register and the one behind it point to."""
        address = self.registers[low] | self.registers[low + 4] << 32
        if address & 7:
            raise BusError(f"buffer address {address:#x}: expected a multiple of 8")
        return address
