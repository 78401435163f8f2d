"""A board whose logic is the circuit's own Verilog, simulated cycle by cycle."""
from __future__ import annotations

import logging
import os
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from ...contracts.clock import Clock
from ...contracts.twin import Twin
from ...contracts.waiting import Line
from ...errors import BoardError, InputError
from ..emulated import EmulatedBoard, EmulatedMemory
from .build import check_tools
from .model import Model, Traffic, open_model
from .stalls import read_stalls

__all__ = ["RtlBoard"]

_log = logging.getLogger(__name__)
_FOREVER = 1e6  # seconds
_AT_ONCE = 5_000  # cycles: some 50 ms, after which a wait looks whether it is cancelled, and a signal is heard
_RESPONSES = {None: 0, "SLVERR": 2, "DECERR": 3}  # of AXI
_COVERAGE = "QNN_PYNQ_RTL_COVERAGE"
_covered = count()


class _Cycles(Clock):
    """Counts the cycles of the circuit that is in the logic; to sleep is to simulate."""

    def __init__(self) -> None:
        self._past = 0.0
        self._model: Model | None = None
        self._hz = 1.0

    def attach(self, model: Model | None, hz: float = 1.0) -> None:
        """Count those of another circuit from now on, None: of none."""
        now = self.now()
        self._model, self._hz = model, hz
        self._past = now - (model.cycles / hz if model is not None else 0.0)

    def now(self) -> float:
        return self._past + (self._model.cycles / self._hz if self._model is not None else 0.0)

    def sleep(self, seconds: float) -> None:
        model = self._model
        if model is None:
            self._past += max(0.0, seconds)
            return
        left = self.cycles(seconds)
        while left > 0:
            model.run(min(left, _AT_ONCE))
            left -= _AT_ONCE

    def cycles(self, seconds: float) -> int:
        """At least `seconds` and one cycle, where there is anything to wait."""
        return int(min(seconds, _FOREVER) * self._hz) + 1 if seconds > 0 else 0


class _Circuit(Twin):
    """The simulated circuit where the emulated board has a twin."""

    def __init__(self, overlay: Any, memory: EmulatedMemory, clock: Clock, model: Model) -> None:
        super().__init__(overlay, memory, clock)
        self.model, self._buffers = model, memory

    def _seen(self) -> Model:
        """The model, with the memory that is there now."""
        self.model.map(self._buffers.blocks())
        return self.model

    def read(self, offset: int) -> int:
        return self._seen().read(self.overlay.ip.address + offset)

    def write(self, offset: int, value: int) -> None:
        self._seen().write(self.overlay.ip.address + offset, value)

    def run(self, cycles: int, until_irq: bool = False) -> bool:
        """As of Model."""
        return self._seen().run(cycles, until_irq)

    def reset(self) -> None:
        self.model.reset()

    def settle(self) -> None:
        """Nothing is due by the clock: the clock is the circuit."""

    @property
    def busy_until(self) -> float | None:
        return None  # nobody knows before it is simulated

    @property
    def interrupt(self) -> bool:
        return self.run(0)


class _Irq:
    """The interrupt line: waiting for it lets the circuit run."""

    def __init__(self, circuit: _Circuit, clock: _Cycles) -> None:
        self._circuit, self._clock = circuit, clock

    def wait(self, seconds: float) -> bool | None:
        """Whether it fired in a part of the time, after which whoever waits looks for himself."""
        return self._circuit.run(min(_AT_ONCE, self._clock.cycles(seconds)), until_irq=True)


class RtlBoard(EmulatedBoard):
    """The board contract over the Verilog of an overlay, compiled by Verilator when it is first configured.

    Time is the circuit's: its cycles, by the clock of the overlay. It passes while registers are accessed, while
    something is waited for, and in `run`. Memory is apart for processor and logic, as on the emulated board.

    Parameters
    ----------
    seed : int
        Of everything that is drawn: stalls, and what flip-flops and memories hold at power-up.
    stalls : str, mapping or Stalls
        "steady" (default), "rough" or "hostile", or the fields of `Stalls`.
    memory_limit : int
        Bytes of contiguous memory.
    coverage : path, optional
        Folder for Verilator's line and toggle coverage, a file for each circuit that was simulated; also
        $QNN_PYNQ_RTL_COVERAGE.

    Raises
    ------
    MissingDependencyError
        No Verilator or no C++ compiler.
    """

    name = "simulated board"
    kind = "rtl"

    def __init__(self, seed: int = 0, stalls: Any = "steady", memory_limit: int = 128 << 20,
                 coverage: str | os.PathLike[str] | None = None) -> None:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise InputError(f"seed {seed!r}: expected a whole number")
        self.seed, self.stalls = int(seed), read_stalls(stalls)
        chosen = coverage if coverage is not None else os.environ.get(_COVERAGE) or None
        self._coverage = Path(chosen).absolute() if chosen is not None else None
        check_tools()
        self._cycles = _Cycles()
        super().__init__(memory_limit, self._cycles)

    # -- the simulation -----------------------------------------------------------------------
    @property
    def _circuit(self) -> _Circuit:
        self.check_open()
        if not isinstance(self.twin, _Circuit):
            raise BoardError("no circuit in the logic: configure an overlay first")
        return self.twin

    @property
    def cycles(self) -> int:
        """Of the circuit in the logic since its power-up."""
        return self._circuit.model.cycles

    @property
    def traffic(self) -> Traffic:
        """What went over the circuit's memory port since its power-up, and what is in flight."""
        return self._circuit.model.traffic

    @property
    def interrupt(self) -> bool:
        """The circuit's interrupt line."""
        return self._circuit.interrupt

    def run(self, cycles: int, until_irq: bool = False) -> bool:
        """Let so many cycles pass, at most until the interrupt line is high; whether it is at the end."""
        left = int(cycles)
        while True:
            irq = self._circuit.run(max(0, min(left, _AT_ONCE)), until_irq)
            left -= _AT_ONCE
            if left <= 0 or (irq and until_irq):
                return irq

    def tell(self, direction: str, error: str | None = None, late: int = 0, after: int = 0) -> None:
        """Tell the memory how to answer a burst to come.

        Parameters
        ----------
        direction : "read" or "write"
        error : None, "SLVERR" or "DECERR"
            What it answers; with an error nothing is read or written.
        late : int
            Cycles later than by the stalls.
        after : int
            How many bursts of that direction come before it.
        """
        if direction not in ("read", "write"):
            raise InputError(f"direction {direction!r}: expected 'read' or 'write'")
        if error not in _RESPONSES:
            raise InputError(f"error {error!r}: expected None, 'SLVERR' or 'DECERR'")
        for name, value in (("late", late), ("after", after)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 0 <= value < 1 << 40:
                raise InputError(f"{name} {value!r}: expected a whole number from 0")
        self._circuit.model.tell(direction == "write", int(after), _RESPONSES[error], int(late))

    # -- the contract -------------------------------------------------------------------------
    def _make_twin(self, overlay: Any) -> Twin:
        rtl = overlay.rtl
        if rtl is None:
            raise BoardError(f"overlay {overlay.name} has no Verilog, and {self.name} has nothing to simulate: "
                             "expected one whose overlay.json has rtl; open_board('emulated') has twins for all")
        if len(overlay.ips) != 1:
            raise BoardError(f"overlay {overlay.name} has {len(overlay.ips)} register windows: {self.name} has a port "
                             "for one")
        file = None
        if self._coverage is not None:
            self._coverage.mkdir(parents=True, exist_ok=True)
            file = self._coverage / f"{rtl.top}-{os.getpid()}-{next(_covered)}.dat"
        model = open_model(rtl, self.seed, self.stalls, file)
        return _Circuit(overlay, self.memory, self.clock, model)

    def _configure(self, overlay: Any) -> None:
        former = self.twin
        try:
            super()._configure(overlay)
        finally:
            self._follow(former)

    def forget(self) -> None:
        with self.lock:
            former = self.twin
            try:
                super().forget()
            finally:
                self._follow(former)

    def _follow(self, former: Twin | None) -> None:
        """The clock goes on with the circuit that is in the logic now; that of before is gone."""
        if isinstance(self.twin, _Circuit):
            self._cycles.attach(self.twin.model, self.twin.overlay.clock_mhz * 1e6)
        else:
            self._cycles.attach(None)
        if isinstance(former, _Circuit) and former is not self.twin:
            former.model.close()

    def interrupt_line(self, ip: str) -> Line | None:
        circuit = self._circuit
        return _Irq(circuit, self._cycles) if circuit.overlay.ip.interrupt is not None else None

    def skip(self, attempt: int, left: float) -> None:
        """Let some cycles pass: the more the longer it takes, so that a look is late by a hundredth of the wait."""
        if isinstance(self.twin, _Circuit):
            self.twin.run(min(_AT_ONCE, 50 + 5 * attempt, self._cycles.cycles(left)))
        else:
            self.clock.sleep(left)

    def idle(self, attempt: int, elapsed: float, left: float) -> None:
        self.skip(attempt, left)

    @property
    def modelled_seconds(self) -> float:
        """The circuit's time so far: counted in cycles, not modelled."""
        return self.clock.now()

    accelerator_seconds = modelled_seconds
