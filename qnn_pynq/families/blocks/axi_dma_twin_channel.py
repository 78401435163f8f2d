"""One channel of the AXI DMA's twin, MM2S or S2MM: its registers, transfers and descriptors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...contracts.clock import Clock
from ...contracts.twin import Memory
from ...errors import BusError
from .axi_stream_twin import Fifo

__all__ = ["DECODE", "INTERNAL", "RESET", "Channel"]

# PG021, "Register Space" and "Scatter Gather Descriptor"; not shared with the driver.
RUN, RESET = 1, 1 << 2
HALTED, IDLE, SG_INCLUDED = 1, 1 << 1, 1 << 3
INTERNAL, SLAVE, DECODE = 1 << 4, 1 << 5, 1 << 6
SG_INTERNAL, SG_DECODE = 1 << 8, 1 << 10
IOC, ERROR = 1 << 12, 1 << 14
_ERRORS, _IRQS = 0x770, 0x7000
_EOF, _COMPLETE = 1 << 26, 1 << 31


class _Dma(Protocol):
    """What a channel asks of its DMA."""

    clock: Clock
    memory: Memory
    scatter_gather: bool
    longest: int
    cycle: float
    beat_bytes: dict[bool, int]
    swallow: bool

    def begin_reset(self) -> None:
        """Reset both channels."""

    def inject_delay(self, seconds: float) -> float:
        """Seconds of a transfer that begins, after injected faults."""


@dataclass
class _Job:
    """A transfer, or a descriptor's part of one."""

    address: int
    nbytes: int
    ends: bool  # a packet
    moment: float  # at which MM2S is through
    done: int = 0  # bytes


class Channel:
    """MM2S (`sends`) or S2MM. Offsets are from the channel's own first register."""

    def __init__(self, dma: _Dma, sends: bool, fifo: Fifo) -> None:
        self.dma, self.sends, self.fifo = dma, sends, fifo
        self.reset()

    def reset(self) -> None:
        self.running = self.idle = False
        self.enabled = 0  # interrupt bits of DMACR
        self.threshold = self.left = 1
        self.status = 0  # error and interrupt bits
        self.current = self.tail = 0
        self.address = 0
        self.length = 0  # as read back
        self.started = False  # direct mode: idle is 0 before the first transfer
        self.job: _Job | None = None
        self.lost = False  # an injected fault: the channel never shows that it is done

    # -- registers ----------------------------------------------------------------------------
    def read(self, offset: int) -> int:
        if offset == 0x00:
            return int(self.running) | 2 | self.enabled | self.threshold << 16
        if offset == 0x04:
            idle = self.idle and self.running and (self.started or self.dma.scatter_gather)
            return (int(not self.running) * HALTED | idle * IDLE | self.dma.scatter_gather * SG_INCLUDED
                    | self.status | self.left << 16)
        wide = {0x08: self.current, 0x10: self.tail} if self.dma.scatter_gather else {0x18: self.address}
        for low, value in wide.items():
            if offset in (low, low + 4):
                return value >> (32 if offset > low else 0) & 0xFFFFFFFF
        return self.length if offset == 0x28 and not self.dma.scatter_gather else 0

    def write(self, offset: int, value: int) -> None:
        if offset == 0x00:
            self._control(value)
        elif offset == 0x04:
            self.status &= ~(value & _IRQS)  # written ones clear
        elif self.dma.scatter_gather:
            self._write_descriptors(offset, value)
        elif offset == 0x18:
            self.address = self.address >> 32 << 32 | value
        elif offset == 0x1C:
            self.address = self.address & 0xFFFFFFFF | value << 32
        elif offset == 0x28:
            self._write_length(value & self.dma.longest)

    def _control(self, value: int) -> None:
        if value & RESET:
            self.dma.begin_reset()
            return
        self.enabled = value & _IRQS
        threshold = value >> 16 & 0xFF
        if threshold and threshold != self.threshold:
            self.threshold = self.left = threshold
        if value & RUN and not self.running and not self.status & _ERRORS:
            self.running, self.started = True, False
            self.idle = self.dma.scatter_gather  # nothing queued
        elif not value & RUN:
            self.running, self.idle, self.job = False, False, None

    def _write_length(self, length: int) -> None:
        if not self.running or self.job is not None or not length:
            return  # a halted or busy channel does not start, and 0 starts nothing
        self.length = length
        self._begin(self.address, length, True, self.dma.clock.now())

    def _write_descriptors(self, offset: int, value: int) -> None:
        if offset in (0x08, 0x0C):
            if not self.running:  # fixed while the channel runs
                self.current = self._joined(self.current, offset == 0x0C, value)
        elif offset in (0x10, 0x14):
            self.tail = self._joined(self.tail, offset == 0x14, value)
            if offset == 0x10 and self.running and self.job is None:
                self._fetch(self.dma.clock.now())

    @staticmethod
    def _joined(old: int, high: bool, value: int) -> int:
        return old & 0xFFFFFFFF | value << 32 if high else old >> 32 << 32 | value & ~0x3F

    # -- transfers ----------------------------------------------------------------------------
    def _begin(self, address: int, length: int, ends: bool, moment: float) -> None:
        self.idle, self.started = False, True
        cycles = -(-length // self.dma.beat_bytes[self.sends])
        seconds = self.dma.inject_delay(cycles * self.dma.cycle) if self.sends else 0.0
        self.job = _Job(address, length, ends, moment + seconds)

    def _fetch(self, moment: float) -> None:
        """Take the next descriptor."""
        memory = self.dma.memory
        try:
            words = memory.read(self.current, 52).view(np.uint32)
        except BusError:
            self.fail(SG_DECODE)
            return
        if words[7] & _COMPLETE:
            self.fail(SG_INTERNAL)
            return
        length = int(words[6]) & self.dma.longest
        if not length:
            self.fail(INTERNAL)
            return
        self._begin(int(words[2]) | int(words[3]) << 32, length, bool(int(words[6]) & _EOF), moment)

    def fail(self, bits: int) -> None:
        """Errors halt the channel; only a reset of the DMA clears them."""
        if self.dma.scatter_gather and self.job is not None and bits & (INTERNAL | SLAVE | DECODE):
            self._write_status(self.job, bits >> 4 << 28)
        self.status |= bits | ERROR
        self.running, self.idle, self.job = False, False, None

    def _write_status(self, job: _Job, bits: int) -> None:
        try:
            words = self.dma.memory.read(self.current, 52).view(np.uint32)
            words[7] = np.uint32(job.done | bits)
        except BusError:
            self.status |= SG_DECODE

    def pump(self, now: float) -> bool:
        """Move what can be moved now; whether anything was."""
        if self.job is None or self.lost:
            return False
        return self._send(self.job, now) if self.sends else self._receive(self.job, now)

    def _send(self, job: _Job, now: float) -> bool:
        if now < job.moment or self.fifo.size >= self.fifo.capacity:
            return False
        try:
            data = self.dma.memory.read(job.address, job.nbytes).copy()
        except BusError:
            self.fail(DECODE)
            return True
        self.fifo.put(data, job.ends, job.moment)
        job.done = job.nbytes
        self._finished(job, job.ends, job.moment)
        return True

    def _receive(self, job: _Job, now: float) -> bool:
        if job.done == job.nbytes:  # full, without the end of the packet
            if self.fifo.moment() > now:
                return False
            self.fail(INTERNAL)  # a packet longer than the length register says
            return True
        data, last = self.fifo.take(job.nbytes - job.done, now, packet=True)
        if not data.size:
            return False
        try:
            if not self.dma.swallow:
                self.dma.memory.write(job.address + job.done, data)
        except BusError:
            self.fail(DECODE)
            return True
        job.done += data.size
        if last or (self.dma.scatter_gather and job.done == job.nbytes):
            self._finished(job, last, now)
        return True

    def _finished(self, job: _Job, ends: bool, moment: float) -> None:
        """A transfer, or a descriptor, is through."""
        if not self.sends:
            self.dma.swallow = False
        if ends:
            self.left -= 1
            if not self.left:
                self.status |= IOC
                self.left = self.threshold
        if not self.dma.scatter_gather:
            self.length, self.job, self.idle = job.done, None, True
            return
        self._write_status(job, _COMPLETE | (_EOF if ends and not self.sends else 0))
        self.job = None
        if self.current == self.tail:
            self.idle = True
            return
        words = self.dma.memory.read(self.current, 52).view(np.uint32)
        self.current = int(words[0]) & ~0x3F | int(words[1]) << 32
        self._fetch(moment)

    @property
    def next_moment(self) -> float:
        """When something happens by itself; inf: never."""
        if self.job is None or self.lost:
            return math.inf
        if self.sends:
            return self.job.moment if self.fifo.room else math.inf
        return self.fifo.moment()

    @property
    def line(self) -> bool:
        """The channel's interrupt output."""
        return bool(self.status & self.enabled & _IRQS)
