"""Twin of the AXI DMA (PG021), direct register mode and scatter-gather, register by register.

Modelled: run/stop, reset of both channels, halted and idle as they really are (idle is 0 before the first transfer
of direct mode and while halted), length registers that drop bits above their width, interrupt bits and threshold,
internal and decode errors of data and descriptors, a channel that stays halted after one. Not modelled: slave errors,
cyclic descriptors, interrupt delay, keyhole, micro mode, status and control streams.
"""

from __future__ import annotations

from typing import Any, Protocol

from ...contracts.clock import Clock
from ...contracts.twin import Memory, Twin
from .axi_dma_twin_channel import RESET, Channel
from .axi_stream_twin import Fifo

__all__ = ["AxiDmaTwin"]

_RESET_CYCLES = 100


class _Built(Protocol):
    """How a DMA is built."""

    scatter_gather: bool
    data_bits: int

    @property
    def longest(self) -> int:
        """Bytes of the longest transfer."""


class _Logic(Protocol):
    """The whole logic, where the DMA is a part of it."""

    def settle(self) -> None:
        """Let every block do what is due."""

    def inject_delay(self, seconds: float) -> float:
        """Seconds of a transfer, after injected faults."""


class AxiDmaTwin(Twin):
    """An AXI DMA between memory and two streams.

    Parameters
    ----------
    overlay, memory, clock
        As for `Twin`.
    dma : Dma
        How it is built; its registers are not shared with the driver.
    to_circuit, from_circuit : Fifo
        Stream of MM2S, stream of S2MM.
    """

    def __init__(self, overlay: Any, memory: Memory, clock: Clock, dma: _Built, to_circuit: Fifo,
                 from_circuit: Fifo) -> None:
        super().__init__(overlay, memory, clock)
        self.longest = dma.longest
        self.scatter_gather = bool(dma.scatter_gather)
        self.cycle = 1e-6 / overlay.clock_mhz
        self.beat_bytes = {True: dma.data_bits // 8, False: dma.data_bits // 8}  # by `sends`
        self.swallow = False  # an injected fault: done, and nothing written
        self.parent: _Logic | None = None  # the whole logic: what one block does wakes the others
        self.mm2s = Channel(self, True, to_circuit)
        self.s2mm = Channel(self, False, from_circuit)
        self.channels = self.mm2s, self.s2mm
        self._reset_until: float | None = None

    def begin_reset(self) -> None:
        """A reset through either channel is one of both; its bit reads 1 until it is over."""
        self.reset()
        self._reset_until = self.clock.now() + _RESET_CYCLES * self.cycle

    def reset(self) -> None:
        for channel in self.channels:
            channel.reset()
        self.swallow = False

    def inject_delay(self, seconds: float) -> float:
        """Seconds of a transfer that begins, after injected faults."""
        seconds = float(self._hook("duration", seconds))
        return self.parent.inject_delay(seconds) if self.parent is not None else seconds

    # -- bus ----------------------------------------------------------------------------------
    def read(self, offset: int) -> int:
        channel, place = self._access(offset)
        if place == 0 and self._reset_until is not None:
            if self.clock.now() < self._reset_until:
                return channel.read(0) | RESET
            self._reset_until = None
        return channel.read(place)

    def write(self, offset: int, value: int) -> None:
        channel, place = self._access(offset)
        if self._reset_until is not None and self.clock.now() < self._reset_until:
            return  # in reset
        channel.write(place, value)
        if self.parent is None:  # else its window settles the whole logic
            self.settle()

    def _access(self, offset: int) -> tuple[Channel, int]:
        """Let the time of an access pass; which channel it is for, and the offset from its first register."""
        seconds = 12 * self.cycle
        self.clock.elapse(seconds)
        self.modelled_seconds += seconds
        (self.parent or self).settle()
        offset &= 0x7F
        return (self.mm2s, offset) if offset < 0x30 else (self.s2mm, offset - 0x30)

    def settle(self) -> None:
        if self.parent is not None:
            self.parent.settle()
            return
        while self.pump(self.clock.now()):
            pass

    def pump(self, now: float) -> bool:
        """Move what can be moved now."""
        moved = False
        for channel in self.channels:
            if channel.job is not None and channel.pump(now):
                moved = True
        return moved

    @property
    def next_moment(self) -> float:
        """When something happens by itself; inf: never."""
        soonest = min(channel.next_moment for channel in self.channels)
        return soonest if self._reset_until is None else min(soonest, self._reset_until)

    @property
    def busy_until(self) -> float | None:
        if self._reset_until is None and all(channel.job is None for channel in self.channels):
            return None
        return self.next_moment

    @property
    def interrupts(self) -> dict[str, bool]:
        """The interrupt outputs by pin."""
        self.settle()
        return {"mm2s_introut": self.mm2s.line, "s2mm_introut": self.s2mm.line}

    @property
    def interrupt(self) -> bool:
        return any(self.interrupts.values())
