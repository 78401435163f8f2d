"""Twin of the engine: registers, program memory, and programs that run by the clock.

Written from the description of the circuit (docs/engine.md), not from its driver. An instruction has its effect on
the memories at once, in the order of the program and when the cycle model says that it is over: what a program may
not rely on (a LOAD into words that a layer still reads, say) comes out as if one had followed the other.
"""

from __future__ import annotations

import math
from typing import Any

from ...contracts.clock import Clock
from ...contracts.twin import Memory, Twin
from ...faults import Fault
from .twin_array import Array
from .twin_decode import WEIGHTS, Load, Program, Store
from .twin_memories import Memories
from .twin_plan import Plan, Region, plan
from .twin_run import Run

__all__ = ["EngineTwin"]

# Not shared with the driver: one wrong table would agree with itself.
_MAGIC, _VERSION, _BUILD, _CAPS0, _CAPS1, _CAPS2, _SCRATCH = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18
_CONTROL, _STATUS, _IRQ_ENABLE, _IRQ_STATUS = 0x1C, 0x20, 0x24, 0x28
_GROUPS, _PICTURES, _WATCHDOG = 0x2C, 0x30, 0x34
_CYCLES, _BUSY, _WAIT_LOAD, _WAIT_STORE, _WAIT_DRAIN = 0x38, 0x3C, 0x40, 0x44, 0x48
_REGIONS, _REGION_BYTES, _REGION_COUNT = 0x50, 0x10, 4
_PROGRAM = 0x4000

_START, _ABORT, _RESET = 1, 2, 4
_IS_BUSY, _IS_DONE, _IS_ERROR, _IS_ABORTED = 1, 2, 4, 8
_IRQ_DONE, _IRQ_ERROR = 1, 2
_WORD = 0xFFFFFFFF
_PATIENCE = 0x00FFFFFF  # of the watchdog, after a reset
_LANES = 64


class EngineTwin(Twin):
    """The emulated engine.

    Decisions where the description is silent: a start counts only where it comes alone; a soft reset aborts what runs;
    an abort of an idle circuit does nothing; error and aborted show at once, busy until the ports are quiet; a layer
    that an abort or an error cuts short leaves no results; a transfer outside of live buffers is answered with a
    decode error.

    Hook points of `inject`: "duration" (seconds of a run; inf hangs).

    Attributes
    ----------
    memories : Memories
        Weights, thresholds and banks; they survive a reset.
    program : list of int
        64-bit words.
    runs : int
        How many were started.
    """

    quick = False  # every word of a program in numpy: some hundred pictures a second

    def __init__(self, overlay: Any, memory: Memory, clock: Clock) -> None:
        super().__init__(overlay, memory, clock)
        g = self._geometry = overlay.geometry
        self._cycle = 1e-6 / overlay.clock_mhz
        self._write_time = overlay.timing["write_access_ns"] * 1e-9
        self._read_time = overlay.timing["read_access_ns"] * 1e-9
        self._constants = {
            _MAGIC: 0x514E4E45, _VERSION: 0x00010000,
            _BUILD: overlay.rtl.parameters.get("BUILD", 0) if overlay.rtl else 0,
            _CAPS0: g["pe"] | g["vectors"] << 8 | _LANES << 16 | g["accumulator_bits"] << 24,
            _CAPS1: g["weight_words"] | g["bank_words"] << 16,
            _CAPS2: g["threshold_words"] | g["program_words"] << 16,
        }
        self.memories = Memories(g)
        self.program = [0] * g["program_words"]
        self.runs = 0
        self._array = Array(g, self.memories)
        self._decoded: Program | None = None
        self._gone = False  # somebody else's circuit is in the logic now
        self.reset()

    def reset(self) -> None:
        self._registers = {_SCRATCH: 0, _GROUPS: 0, _WATCHDOG: _PATIENCE}
        for number in range(_REGION_COUNT):
            self._registers.update({_REGIONS + _REGION_BYTES * number + place: 0 for place in (0, 4, 8)})
        self._low = 0  # half of a program word
        self._irq_enable = self._irq_status = 0
        self._state = 0  # done, error, aborted
        self._code = self._word = 0
        self._counters = dict.fromkeys((_PICTURES, _CYCLES, _BUSY, _WAIT_LOAD, _WAIT_STORE, _WAIT_DRAIN), 0)
        self._run: Run | None = None
        self._begun = self._until = 0.0
        self._idle_at: float | None = None  # an abort or a soft reset waits for the ports
        self._resets = False
        self._model_end = 0.0
        self._hung = self._lost_done = False
        self._late: list[tuple[float, Run]] = []  # runs behind an early done, and when they began

    @property
    def busy_until(self) -> float | None:
        if self._hung:
            return math.inf
        if self._idle_at is not None:
            return self._idle_at
        return None if self._run is None else self._until

    @property
    def interrupt(self) -> bool:
        self.settle()
        return bool(self._irq_enable & self._irq_status)

    # -- bus ----------------------------------------------------------------------------------------------

    def read(self, offset: int) -> int:
        if self.faults is not None:
            self.faults.touch()
        self._access(self._read_time)
        value = 0 if self._gone else self._shown(offset)
        if self.faults is not None:
            self.faults.touch()
        return value

    def write(self, offset: int, value: int) -> None:
        if self.faults is not None:
            self.faults.touch()
        now = self._access(self._write_time)
        if not self._gone:
            self._take(offset, value, now)
        if self.faults is not None:
            self.faults.touch()

    def _access(self, seconds: float) -> float:
        """Let the time of an access pass; the moment that it is then."""
        now = self.clock.elapse(seconds)
        self.modelled_seconds += seconds
        self._settle(now)
        return now

    def _shown(self, offset: int) -> int:
        if offset == _STATUS:
            busy = _IS_BUSY if self.busy_until is not None else 0
            word = self._run.plan.word_at(self._cycles()) if self._run is not None else self._word
            return busy | self._state | self._code << 8 | word << 16
        if offset in self._counters:
            return (self._counted() if self._run is not None else self._counters)[offset] & _WORD
        if offset == _IRQ_ENABLE:
            return self._irq_enable
        if offset == _IRQ_STATUS:
            return self._irq_status
        return self._registers.get(offset, self._constants.get(offset, 0))

    def _take(self, offset: int, value: int, now: float) -> None:
        if offset == _CONTROL:
            self._control(value, now)
        elif offset == _IRQ_ENABLE:
            self._irq_enable = value & (_IRQ_DONE | _IRQ_ERROR)
        elif offset == _IRQ_STATUS:
            self._irq_status &= ~value
        elif self.busy_until is None:
            if offset in self._registers:
                self._registers[offset] = value & 0xFFFF if offset == _GROUPS else value
            elif _PROGRAM <= offset < _PROGRAM + 8 * len(self.program):
                if offset & 4:
                    self.program[(offset - _PROGRAM) // 8] = value << 32 | self._low
                    self._decoded = None
                else:
                    self._low = value

    # -- runs ---------------------------------------------------------------------------------------------

    def _control(self, value: int, now: float) -> None:
        if self._hung:
            return
        busy = self.busy_until is not None
        if value & (_RESET | _ABORT) and self._run is not None:
            self._run.stop(self._cycles(now))
            self._idle_at = self._begun + self._run.over * self._cycle
            self._model_end = self.modelled_seconds + max(0.0, self._idle_at - now)
            self._freeze()
            self._state = _IS_ABORTED
        if value & _RESET:
            self._resets = True
            if not busy:
                self.reset()
        elif value & (_START | _ABORT) == _START and not busy:
            self._start(now)

    def _start(self, begun: float) -> None:
        fault = None if self.faults is None else self.faults.draw()
        if fault is not None and fault.kind == "reprogrammed":
            self._vanish()
            return
        self.runs += 1
        self._state = self._code = 0
        if self._decoded is None:
            self._decoded = Program(self.program)
        made = plan(self._decoded, self._regions(), self._registers[_GROUPS], self._registers[_WATCHDOG],
                    self._geometry)
        self._run = Run(made, self.memory, self.memories, self._array)
        seconds = made.end * self._cycle
        if self._faults:
            seconds = self._hook("duration", seconds)
        self._begun = begun
        if fault is not None:
            seconds = self._afflict(fault, made, seconds)
        if not math.isfinite(seconds):
            self._hung, self._run = True, None
            return
        self._until = begun + seconds
        self._model_end = self.modelled_seconds + seconds

    def _regions(self) -> list[Region]:
        places = (_REGIONS + _REGION_BYTES * number for number in range(_REGION_COUNT))
        return [Region(*(self._registers[place + field] for field in (0, 4, 8))) for place in places]

    def _cycles(self, now: float | None = None) -> int:
        """Cycles of the run so far."""
        now = self.clock.now() if now is None else now
        return max(0, int((now - self._begun) / self._cycle + 1e-6))

    def settle(self) -> None:
        if self._run is not None or self._idle_at is not None or self._late:
            self._settle(self.clock.now())

    def _settle(self, now: float) -> None:
        for begun, behind in list(self._late):
            cycle = (now - begun) / self._cycle + 1e-6
            behind.advance(cycle)
            if cycle >= behind.end:
                self._late.remove((begun, behind))
        run = self._run
        if run is None:
            self._rest(now)
            return
        early = any(other is run for _, other in self._late)
        if not early:
            run.advance(max(run.end, self._cycles(now)) if now >= self._until else self._cycles(now))
        if now < self._until and not run.failed:
            return
        self.modelled_seconds = max(self.modelled_seconds, self._model_end)
        self._finish(run)
        self._rest(now)

    def _rest(self, now: float) -> None:
        """The ports are quiet, and what waited for that is done."""
        if self._idle_at is None or now < self._idle_at:
            return
        self._idle_at = None
        self.modelled_seconds = max(self.modelled_seconds, self._model_end)
        if self._resets:
            self.reset()

    def _finish(self, run: Run) -> None:
        self._freeze()
        self._code = run.code
        if run.code:
            self._state, self._word = _IS_ERROR, run.word
            self._irq_status |= _IRQ_ERROR
            self._idle_at = self._until + (run.over - run.end) * self._cycle
        elif not self._lost_done:
            self._state = _IS_DONE
            self._irq_status |= _IRQ_DONE
        self._lost_done = False

    def _freeze(self) -> None:
        """The run is over: its counters stay as they are."""
        assert self._run is not None
        self._counters = self._counted()
        self._counters[_CYCLES] = self._run.over  # busy until then
        self._word = self._run.plan.word_at(self._run.end)
        self._run = None

    def _counted(self) -> dict[int, int]:
        """The counters of the run so far."""
        run = self._run
        assert run is not None
        cycle = min(self._cycles(), run.end)
        counts = run.plan.counts_at(cycle)
        pictures = run.plan.groups_at(cycle) * self._geometry["vectors"]
        return {_PICTURES: pictures, _CYCLES: cycle, _BUSY: counts.busy, _WAIT_LOAD: counts.wait_load,
                _WAIT_STORE: counts.wait_store, _WAIT_DRAIN: counts.wait_drain}

    # -- faults -------------------------------------------------------------------------------------------

    def _afflict(self, fault: Fault, made: Plan, seconds: float) -> float:
        """What a fault does to the run; the seconds that it takes."""
        run = self._run
        assert run is not None
        stores = [number for number, deed in enumerate(made.deeds) if isinstance(deed.instruction, Store)]
        loads = [number for number, deed in enumerate(made.deeds) if isinstance(deed.instruction, Load)]
        results = stores or loads  # what the run is for
        if fault.kind == "hang":
            return math.inf
        if fault.kind == "slow":
            self._begun += fault.extra_seconds
            return seconds + fault.extra_seconds
        if fault.kind == "lost done":
            self._lost_done = True
        elif fault.kind == "early done":
            self._late.append((self._begun, run))
            return seconds * fault.amount
        elif fault.kind == "done without data":
            run.left_out.update(results)
        elif fault.kind == "corrupt word" and results:
            run.broken[results[fault.place % len(results)]] = fault.place
        elif fault.kind == "bus error" and loads + stores:
            run.denied = (loads + stores)[fault.place % len(loads + stores)]
        elif fault.kind == "flip weight":
            self._flip_weight(fault, made)
        return seconds

    def _flip_weight(self, fault: Fault, made: Plan) -> None:
        """In the circuit, until the next load; where this run loads weights, in shared memory."""
        images = [deed for deed in made.deeds if isinstance(deed.instruction, Load)
                  and deed.instruction.target == WEIGHTS]
        if images:
            deed = images[fault.place % len(images)]
            assert isinstance(deed.instruction, Load)
            words = self.memory.read(deed.address, 8 * deed.instruction.words).view("<u8")
        else:
            words = self.memories.weights.reshape(-1)
            self.memories.version += 1
        place, bit = divmod(fault.place % (64 * words.size), 64)
        words[place] ^= words.dtype.type(1 << bit)

    def _vanish(self) -> None:
        self.reset()
        self._gone = True
        if self.reprogrammed is not None:
            self.reprogrammed()
