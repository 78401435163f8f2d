"""The AXI DMA through pynq's own driver, with what that lacks: deadlines, a reset, errors with names.

`wait()` of pynq is called only when the channel is idle already, for what it does after waiting.
"""

from __future__ import annotations

from typing import Any, Sequence

from ...contracts.board import Board, Buffer
from ...errors import BoardError, DmaError, QnnError
from .axi_dma import AxiDma, DmaChannel, Packet
from .axi_dma_registers import Dma, check_status

__all__ = ["PynqDma"]


class _PynqChannel(DmaChannel):
    """pynq's sendchannel or recvchannel."""

    _buffer: Any = None

    @property
    def pynq(self) -> Any:
        """pynq's channel, of the design as it is loaded now."""
        driver: Any = self.dma
        found = driver.driver
        return found.sendchannel if self is self.dma.send else found.recvchannel

    def check_packets(self, buffer: Buffer, packets: Sequence[Packet]) -> None:
        super().check_packets(buffer, packets)
        least = 2 * self.dma.dma.data_bits // 8 if self.dma.dma.scatter_gather else 1
        for _, nbytes in packets:
            if nbytes < least:  # pynq makes two descriptors of each packet, or divides by 0
                raise BoardError(f"{self.what}: {nbytes} bytes in a packet: expected at least {least} for pynq's "
                                 "driver with "
                                 "scatter-gather; use engine='own'")

    def start(self, buffer: Buffer, packets: Sequence[Packet]) -> None:
        self.check_packets(buffer, packets)
        check_status(self.status, self.what)
        self.transferred = []
        self._packets = list(packets)
        self._buffer = buffer
        if packets:
            self._next()

    def _next(self) -> None:
        channel = self.pynq
        offset, nbytes = self._packets[len(self.transferred)]
        whole = self._buffer.pynq_buffer
        # A slice, since releases before 4.0 ignore `start` with scatter-gather.
        part = whole.reshape(-1).view("u1")[offset:offset + nbytes]
        try:
            channel.transfer(part)
        except QnnError:
            raise
        except (RuntimeError, ValueError, ArithmeticError) as error:
            text = "{}: pynq refuses the transfer: {}; engine='own' may not"
            raise DmaError(text.format(self.what, error)) from error

    def poll(self) -> bool:
        if self.done:
            return False
        channel = self.pynq
        check_status(self.status, self.what)
        if not channel.idle:
            return False
        try:
            channel.wait()
        except RuntimeError as error:
            raise DmaError(f"{self.what}: {error}; reset it") from error
        wanted = self._packets[len(self.transferred)][1]
        channel._active_buffer = None  # releases before 3.1 would keep it, and its memory, for ever
        # With scatter-gather, pynq reads back descriptors that may still be in the cache: then no bytes at all.
        scattered = self.dma.dma.scatter_gather and not channel.transferred
        self._took(wanted if scattered else int(channel.transferred))
        if self.done:
            self._buffer = None
        else:
            self._next()
        return True


class PynqDma(AxiDma):
    """As `AxiDma`, transfers by `pynq.lib.dma`. Needs a ZynqBoard."""

    def __init__(self, board: Board, dma: Dma) -> None:
        super().__init__(board, dma)
        if not hasattr(board, "design"):
            raise BoardError(f"{dma.name}: pynq's DMA driver needs an FPGA; use engine='own' on {board.name}")
        self.send = _PynqChannel(self, 0x00, "MM2S")
        self.receive = _PynqChannel(self, 0x30, "S2MM")

    @property
    def driver(self) -> Any:
        """pynq's DMA object."""
        board: Any = self.board
        found = getattr(board.design, self.dma.name, None)
        if not hasattr(found, "sendchannel"):
            raise BoardError(f"{self.dma.name}: pynq has no DMA driver for it in this design; use engine='own'")
        return found

    def reset(self, channel: DmaChannel | None = None, timeout: float = 0.01) -> None:
        super().reset(channel, timeout)
        for each in (self.driver.sendchannel, self.driver.recvchannel):
            if each is not None and not self.dma.scatter_gather:
                each.start()  # pynq's transfer() wants a channel that runs
