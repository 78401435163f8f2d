"""The contract of a twin: the emulated IP of one overlay family, at register level."""
from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from .clock import Clock

if TYPE_CHECKING:
    from ..faults import FaultPlan

__all__ = ["Memory", "Twin"]

Injected = Callable[["Twin", str, Any], Any]


class Memory(ABC):
    """The logic's side of the shared memory, as the master port of the IP sees it."""

    @abstractmethod
    def read(self, address: int, nbytes: int) -> np.ndarray:
        """uint8 view of live memory; BusError outside every live buffer."""

    @abstractmethod
    def write(self, address: int, data: np.ndarray) -> None:
        """Store bytes; BusError outside every live buffer."""


class Twin(ABC):
    """Emulated IP: sees register accesses and memory, answers as the circuit does.

    Parameters
    ----------
    overlay : Overlay
        Geometry and timing model.
    memory : Memory
    clock : Clock
        A run is busy until this clock says so.

    Attributes
    ----------
    faults : FaultPlan or None
        Asked for a fault at every run and load, and told of every access; whoever makes the twin sets it.
    reprogrammed : callable or None
        What tells the board that somebody else configures the logic; without it the registers read 0 from then on.
    quick : bool
        Whether it computes in kernels. A network's first overlay whose twin does is what an emulated board takes.
    """

    quick = True
    faults: FaultPlan | None = None
    reprogrammed: Callable[[], None] | None = None

    def __init__(self, overlay: Any, memory: Memory, clock: Clock) -> None:
        self.overlay = overlay
        self.memory = memory
        self.clock = clock
        self.modelled_seconds = 0.0  # FPGA time by the cycle model, whatever the clock
        self._faults: list[Injected] = []

    def ip(self, name: str) -> Twin:
        """The twin behind one register window; a kind of overlay with several of them overrides it."""
        return self

    @abstractmethod
    def read(self, offset: int) -> int:
        """Bus read; may have side effects."""

    @abstractmethod
    def write(self, offset: int, value: int) -> None:
        """Bus write."""

    @abstractmethod
    def reset(self) -> None:
        """The reset line: registers and state machine, not the weight memories."""

    @abstractmethod
    def settle(self) -> None:
        """Do what is due by the clock (a finished run writes its results)."""

    @property
    @abstractmethod
    def busy_until(self) -> float | None:
        """Moment at which the run in flight ends; None when idle, inf when it hangs."""

    @property
    def interrupt(self) -> bool:
        """The interrupt line."""
        return False

    def run_program(self, program: np.ndarray, timeout: float) -> bool:
        """Run a checked program at once if that is provably the same as access by access.

        Returns
        -------
        bool
            False: nothing was done, the caller runs it access by access.
        """
        return False

    def wait(self, offset: int, mask: int, timeout: float) -> int:
        """Look until a register shows a bit, at once if that is provably the same as look by look.

        For clocks on which waiting costs no time.

        Returns
        -------
        int
            What the last look showed under the mask; 0: nothing was done, the caller looks for itself.
        """
        return 0

    # -- misbehaviour -------------------------------------------------------------------------
    def inject(self, fault: Injected) -> None:
        """Add `fault(twin, event, value) -> value`, called at every hook point of the family."""
        self._faults.append(fault)

    def clear_injected(self) -> None:
        """Remove every injected fault."""
        self._faults = []

    def _hook(self, event: str, value: Any) -> Any:
        for fault in self._faults:
            value = fault(self, event, value)
        return value
