"""Driver of the AXI DMA by its registers (PG021), in direct register mode and with scatter-gather."""

from __future__ import annotations

import logging
from typing import Sequence, Tuple

import numpy as np

from ...contracts.board import Board, Buffer, Registers, close_all
from ...contracts.chip import ADDRESSES
from ...errors import BoardError, DeadlineError, DmaError, DmaPacketError
from .axi_dma_registers import (
    Control,
    Descriptor,
    Dma,
    Register,
    Status,
    check_status,
    status_text,
)

__all__ = ["AxiDma", "DmaChannel", "Packet"]

_log = logging.getLogger(__name__)
_MM2S, _S2MM = 0x00, 0x30
_RESET_SECONDS = 0.01  # it takes some cycles; more means that the clock stands, or that there is no DMA

Packet = Tuple[int, int]  # offset in the buffer, bytes


class DmaChannel:
    """One direction of an AXI DMA: packets one after the other, each ending with TLAST.

    Attributes
    ----------
    transferred : list of int
        Bytes of each packet that is through.
    ring : Buffer or None
        Descriptors.
    """

    def __init__(self, dma: AxiDma, base: int, name: str) -> None:
        self.dma, self.name = dma, name
        self.what = f"{name} of {dma.dma.name}"
        self._base = base
        self._run_bits = Control.RUN | (Control.COMPLETE_ENABLE if dma.dma.interrupt else 0)
        self._registers: Registers  # of the logic as it was configured when the run began
        self.transferred: list[int] = []
        self._packets: list[Packet] = []
        self._address = 0
        self.ring: Buffer | None = None
        self._ends: list[int] = []

    # -- registers ----------------------------------------------------------------------------
    @property
    def status(self) -> int:
        """The status register; reading it has no side effect."""
        return int(self.dma.registers.read(self._base + Register.STATUS))

    def _check(self) -> int:
        status = int(self._registers.read(self._base + Register.STATUS))
        check_status(status, self.what)
        return status

    def _check_running(self) -> None:
        status = int(self._registers.read(self._base + Register.STATUS))
        if status & Status.HALTED:
            raise DmaError(f"{self.what} does not run: status {status_text(status)}; reset it")

    # -- packets ------------------------------------------------------------------------------
    def check_packets(self, buffer: Buffer, packets: Sequence[Packet]) -> None:
        """Refuse what the DMA cannot do, before a register is written.

        Raises
        ------
        BoardError
            A packet outside the buffer, misaligned, longer than the length register, or of no length.
        """
        dma = self.dma.dma
        step = 1 if dma.unaligned else dma.data_bits // 8
        for offset, nbytes in packets:
            if nbytes < 1 or offset < 0 or offset + nbytes > buffer.nbytes:
                raise BoardError(f"{self.what}: {nbytes} bytes at {offset} of a buffer of {buffer.nbytes}: expected a "
                                 "part of it")
            if (buffer.device_address + offset) % step:
                raise BoardError(f"{self.what}: address {buffer.device_address + offset:#x}: expected a multiple of "
                                 f"{step}, since the DMA has no realignment "
                                 "engine")
            if buffer.device_address + offset + nbytes > ADDRESSES:
                raise BoardError(f"{self.what}: address {buffer.device_address:#x} is beyond 32 bits")
            if nbytes > dma.longest and not dma.scatter_gather:
                raise BoardError(f"{self.what}: {nbytes} bytes in one packet: expected at most {dma.longest} "
                                 f"(2**{dma.length_bits} - 1, its "
                                 "c_sg_length_width); send less at once, or build the DMA with more")

    def start(self, buffer: Buffer, packets: Sequence[Packet]) -> None:
        """Begin with the first packet, or with scatter-gather with all; `poll` does the rest.

        Raises
        ------
        DmaError
            The channel stands still after an error; `AxiDma.reset` helps.
        """
        self.check_packets(buffer, packets)
        self._registers = self.dma.registers
        self._check()
        self.transferred = []
        self._address = buffer.device_address
        self._packets = list(packets)
        if not packets:
            return
        if self.dma.dma.scatter_gather:
            self._start_ring()
            return
        self._registers.write(self._base + Register.STATUS, Status.COMPLETE)  # of the run before
        self._registers.write(self._base + Register.CONTROL, self._run_bits)
        self._check_running()
        self._next()

    def _next(self) -> None:
        offset, nbytes = self._packets[len(self.transferred)]
        self._registers.write(self._base + Register.ADDRESS, (self._address + offset) & 0xFFFFFFFF)
        self._registers.write(self._base + Register.LENGTH, nbytes)  # this starts it

    @property
    def done(self) -> bool:
        """Whether every packet is through."""
        return len(self.transferred) == len(self._packets)

    def poll(self) -> bool:
        """Look once and go on with the next packet; whether something was finished.

        Raises
        ------
        DmaError
            An error bit, or a packet of another length than asked for.
        """
        if self.done:
            return False
        status = self._check()
        if not status & Status.IDLE:
            return False
        if self.dma.dma.scatter_gather:
            self._collect_ring()
            return True
        self._took(self._registers.read(self._base + Register.LENGTH))
        if not self.done:
            self._next()
        return True

    def _took(self, nbytes: int) -> None:
        wanted = self._packets[len(self.transferred)][1]
        if nbytes != wanted:
            raise DmaPacketError(f"{self.what}: TLAST after {nbytes} bytes, expected after {wanted}; compare the "
                                 "shapes and TLAST of the "
                                 "circuit with the description")
        self.transferred.append(nbytes)

    # -- scatter-gather -----------------------------------------------------------------------
    def _start_ring(self) -> None:
        """Packets as a chain of descriptors, each of at most the longest transfer."""
        dma = self.dma.dma
        piece = dma.longest // 128 * 128  # of whole beats, whatever their width
        words: list[tuple[int, int]] = []
        self._ends = []
        for offset, nbytes in self._packets:
            for start in range(0, nbytes, piece):
                length = min(piece, nbytes - start)
                flags = (Descriptor.START if start == 0 else 0) | (Descriptor.END if start + length == nbytes else 0)
                words.append((self._address + offset + start, length | flags))
            self._ends.append(len(words))
        if self.ring is None or self.ring.nbytes < 64 * len(words):
            self._drop_ring()
            self.ring = self.dma.board.allocate((len(words), 16), np.uint32)
        ring, table = self.ring, self.ring.array
        table[:] = 0
        first = ring.device_address
        table[:len(words), Descriptor.NEXT] = first + 64 * (1 + np.arange(len(words)))
        table[len(words) - 1, Descriptor.NEXT] = first
        table[:len(words), Descriptor.ADDRESS] = [address for address, _ in words]
        table[:len(words), Descriptor.CONTROL] = [control for _, control in words]
        ring.flush()
        self._registers.write(self._base + Register.CONTROL, 0)  # the current descriptor is fixed while it runs
        self._registers.write(self._base + Register.STATUS, Status.COMPLETE)
        self._registers.write(self._base + Register.CURRENT, first)
        self._registers.write(self._base + Register.CONTROL, self._run_bits)
        self._check_running()
        self._registers.write(self._base + Register.TAIL, first + 64 * (len(words) - 1))  # this starts it

    def _collect_ring(self) -> None:
        assert self.ring is not None
        self.ring.invalidate()
        status = self.ring.array[:, Descriptor.STATUS]
        begin = 0
        for end in self._ends:
            if not (status[begin:end] & np.uint32(Descriptor.COMPLETE)).all():
                raise DmaError(f"{self.what}: idle, with descriptors {begin} to {end - 1} not complete; reset it")
            self._took(int((status[begin:end] & np.uint32(Descriptor.LENGTH)).sum()))
            begin = end

    def _drop_ring(self) -> None:
        if self.ring is not None:
            self.ring.close()
            self.ring = None

    def progress(self) -> str:
        """How far it came, for messages."""
        if self.done:
            return f"{self.name}: done"
        number = len(self.transferred)
        return (f"{self.name}: packet {number + 1} of {len(self._packets)} ({self._packets[number][1]} bytes) is not "
                f"through, status {status_text(self.status)}")


class AxiDma:
    """An AXI DMA of the loaded overlay.

    Parameters
    ----------
    board : Board
        With an overlay loaded that has the DMA among its `ips`.
    dma : Dma
        How it is built.

    Attributes
    ----------
    send, receive : DmaChannel
        MM2S, memory to stream; S2MM, stream to memory.
    """

    def __init__(self, board: Board, dma: Dma) -> None:
        self.board, self.dma = board, dma
        self.send = DmaChannel(self, _MM2S, "MM2S")
        self.receive = DmaChannel(self, _S2MM, "S2MM")

    @property
    def registers(self) -> Registers:
        """Of the DMA, as the logic is configured now."""
        return self.board.ip(self.dma.name)

    def check_present(self, channel: DmaChannel) -> None:
        """BoardError where the window does not answer as the described DMA does."""
        built = bool(channel.status & Status.SCATTER_GATHER)
        if built != self.dma.scatter_gather:
            raise BoardError("{}: the DMA was built {} scatter-gather, the description says {}: correct the "
                             "description (scatter_gather)".format(
                                 self.dma.name, "with" if built else "without",
                                 "with" if self.dma.scatter_gather else "without"))

    def reset(self, channel: DmaChannel | None = None, timeout: float = _RESET_SECONDS) -> None:
        """Stop both directions at once and clear their errors; what is in flight is lost.

        The circuit is not reset: what it holds of a broken run comes out in the next one, unless the logic is
        configured again.

        Raises
        ------
        DeadlineError
            The reset bit stays: no clock, or no DMA there.
        """
        control = (channel or self.send)._base + Register.CONTROL
        self.registers.write(control, Control.RESET)
        try:
            self.board.wait(self.dma.name, lambda registers: not registers.read(control) & Control.RESET, timeout)
        except DeadlineError as error:
            raise DeadlineError(f"{self.dma.name}: still in reset after {timeout:g} s: is the clock of the logic "
                                "running, and is there an "
                                "AXI DMA at this address?") from error
        for each in (self.send, self.receive):
            each._packets, each.transferred = [], []
        _log.debug("%s: reset", self.dma.name)

    def buffers(self) -> list[Buffer]:
        """Memory of the descriptors."""
        rings = (channel.ring for channel in (self.send, self.receive))
        return [ring for ring in rings if ring is not None]

    def forget_buffers(self) -> None:
        """Drop it, closed or not."""
        self.send.ring = self.receive.ring = None

    def close(self) -> None:
        """Give the memory of the descriptors back; idempotent."""
        try:
            close_all(self.buffers())
        finally:
            self.forget_buffers()
