"""The registers that HLS gives a circuit which is started: ap_ctrl_hs on s_axilite."""

from __future__ import annotations

from typing import Mapping

from ..families.blocks.hls_control_twin import ControlRegisters

__all__ = ["StartRegisters"]


class StartRegisters:
    """Control at 0x00 to 0x0C, then arguments: 64-bit addresses, and the 32-bit number of samples.

    Attributes
    ----------
    values : dict
        Arguments by name.
    busy : bool
    """

    def __init__(self, offsets: Mapping[str, int]) -> None:
        self._offsets = dict(offsets)
        self._control = ControlRegisters(ready=True)
        self.reset()

    def reset(self) -> None:
        self.values = dict.fromkeys(self._offsets, 0)
        self.busy = False
        self._control.reset()

    def read(self, offset: int) -> int:
        if offset <= ControlRegisters.last:
            return self._control.read(offset, self.busy)
        for name, place in self._offsets.items():
            if offset == place:
                return self.values[name] & 0xFFFFFFFF
            if offset == place + 4 and name != "samples":
                return self.values[name] >> 32
        return 0

    def write(self, offset: int, value: int) -> bool:
        """Store; whether a run begins."""
        if offset <= ControlRegisters.last:
            begins = self._control.write(offset, value, self.busy)
            self._control.auto_restart = False  # not modelled: the circuit would want samples for ever
            self.busy = self.busy or begins
            return begins
        for name, place in self._offsets.items():
            if offset == place:
                self.values[name] = self.values[name] >> 32 << 32 | value
            elif offset == place + 4 and name != "samples":
                self.values[name] = self.values[name] & 0xFFFFFFFF | value << 32
        return False

    def finish(self) -> None:
        """The run is over."""
        self.busy = False
        self._control.finish()

    @property
    def interrupt(self) -> bool:
        return self._control.interrupt
