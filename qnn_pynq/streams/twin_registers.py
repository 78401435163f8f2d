"""The registers that HLS gives a circuit which is started: ap_ctrl_hs on s_axilite."""

from __future__ import annotations

from typing import Mapping

__all__ = ["StartRegisters"]

_START, _DONE, _IDLE, _READY = 1, 2, 4, 8


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
        self.reset()

    def reset(self) -> None:
        self.values = dict.fromkeys(self._offsets, 0)
        self.busy = self._done = False
        self._gier = self._ier = self._isr = 0

    def read(self, offset: int) -> int:
        if offset == 0x00:
            value = (_START if self.busy else _IDLE) | (_DONE | _READY if self._done else 0)
            self._done = False  # clear on read
            return value
        if offset <= 0x0C:
            return {0x04: self._gier, 0x08: self._ier, 0x0C: self._isr}.get(offset, 0)
        for name, place in self._offsets.items():
            if offset == place:
                return self.values[name] & 0xFFFFFFFF
            if offset == place + 4 and name != "samples":
                return self.values[name] >> 32
        return 0

    def write(self, offset: int, value: int) -> bool:
        """Store; whether a run begins."""
        if offset == 0x00:
            begins = bool(value & _START) and not self.busy  # a start while busy is lost
            self.busy = self.busy or begins
            return begins
        if offset == 0x04:
            self._gier = value & 1
        elif offset == 0x08:
            self._ier = value & 3
        elif offset == 0x0C:
            self._isr ^= value & 3  # toggle on write
        for name, place in self._offsets.items():
            if offset == place:
                self.values[name] = self.values[name] >> 32 << 32 | value
            elif offset == place + 4 and name != "samples":
                self.values[name] = self.values[name] & 0xFFFFFFFF | value << 32
        return False

    def finish(self) -> None:
        """The run is over."""
        self.busy, self._done = False, True
        self._isr |= self._ier

    @property
    def interrupt(self) -> bool:
        return bool(self._gier and self._isr)
