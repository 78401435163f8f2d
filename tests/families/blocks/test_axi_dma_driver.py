"""Our driver of the AXI DMA on its twin: packets, limits, errors with names, deadlines, reset."""
from __future__ import annotations

import numpy as np
import pytest
from stream_circuits import stream

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.errors import (
    BoardError,
    BusError,
    DeadlineError,
    DmaDecodeError,
    DmaDescriptorDecodeError,
    DmaDescriptorError,
    DmaDescriptorSlaveError,
    DmaError,
    DmaInternalError,
    DmaPacketError,
    DmaSlaveError,
    StatusError,
)
from qnn_pynq.families.blocks.axi_dma import AxiDma
from qnn_pynq.families.blocks.axi_dma_registers import check_status, status_text
from qnn_pynq.streams import describe
from qnn_pynq.streams.circuit import make_circuit


class Loop:
    """A circuit that hands bytes on, its DMA, a buffer each way, and the register accesses so far."""

    def __init__(self, rule="batch", **dma):
        self.description = describe("loopback", [stream("x", "uint8", (), tlast=rule)],
                                    [stream("y", "uint8", (), tlast=rule if rule == "sample" else "batch")],
                                    dmas=[{"name": "axi_dma_0", **dma}])
        self.board = EmulatedBoard()
        self.board.configure(make_circuit(self.description, function=lambda x: x))
        self.dma = AxiDma(self.board, self.description.dmas[0])
        self.twin = self.board.twin.dmas["axi_dma_0"]
        self.source, self.target = self.board.allocate(4096), self.board.allocate(4096)
        self.source.array[:] = np.arange(4096) % 251
        self.source.flush()

    def go(self, send, receive, timeout=1.0):
        """Packets through the loop."""
        self.dma.receive.start(self.target, receive)
        self.dma.send.start(self.source, send)
        for channel in (self.dma.send, self.dma.receive):
            while not channel.done:
                self.board.wait("axi_dma_0", lambda _: self.dma.send.poll() + self.dma.receive.poll(), timeout)
        self.target.invalidate()
        return self.target.array


@pytest.fixture(params=[False, True], ids=["direct", "scatter-gather"])
def loop(request):
    return Loop(scatter_gather=request.param)


def test_a_packet_goes_round(loop):
    for nbytes in (1, 7, 4000):
        got = loop.go([(0, nbytes)], [(0, nbytes)])
        assert np.array_equal(got[:nbytes], loop.source.array[:nbytes])
        assert loop.dma.send.transferred == loop.dma.receive.transferred == [nbytes]


@pytest.mark.parametrize("scatter_gather", [False, True])
def test_many_packets_one_after_the_other(scatter_gather):
    loop = Loop("sample", scatter_gather=scatter_gather)
    packets = [(4 * number, 1) for number in range(100)]
    got = loop.go(packets, packets)
    assert np.array_equal(got[:400:4], loop.source.array[:400:4]) and not got[1:400:4].any()
    assert loop.dma.receive.transferred == [1] * 100


def test_a_long_packet_is_cut_into_descriptors():
    loop = Loop(scatter_gather=True, length_bits=8)
    got = loop.go([(0, 3000)], [(0, 3000)])
    assert np.array_equal(got[:3000], loop.source.array[:3000]) and loop.dma.receive.transferred == [3000]
    assert loop.dma.send.ring.nbytes == 64 * -(-3000 // 128)


@pytest.mark.parametrize("packets, message", [
    ([(0, 256)], r"256 bytes in one packet: expected at most 255 \(2\*\*8 - 1, its c_sg_length_width\)"),
    ([(2, 4)], r"address 0x1\w+2: expected a multiple of 4, since the DMA has no realignment engine"),
    ([(0, 0)], "0 bytes at 0 of a buffer of 4096"),
    ([(4096, 1)], "1 bytes at 4096 of a buffer of 4096: expected a part of it"),
    ([(-4, 4)], "4 bytes at -4"),
    ([(0, 4), (4, 4096)], "4096 bytes at 4"),
])
def test_what_the_dma_cannot_do_is_refused_before_a_register_is_written(packets, message):
    loop = Loop(length_bits=8)
    before = loop.twin.modelled_seconds
    for channel, buffer in ((loop.dma.send, loop.source), (loop.dma.receive, loop.target)):
        with pytest.raises(BoardError, match=message):
            channel.start(buffer, packets)
    assert loop.twin.modelled_seconds == before


def test_a_dma_that_realigns_takes_any_address():
    loop = Loop(unaligned=True)
    assert np.array_equal(loop.go([(3, 50)], [(5, 50)])[5:55], loop.source.array[3:53])


def test_error_bits_have_names_and_halt_until_reset(loop):
    right, loop.source.device_address = loop.source.device_address, 0x3000_0000  # where no buffer is
    text = "MM2S of axi_dma_0: decode error: an address .* status 0x.*halted.*decode"
    with pytest.raises(DmaDecodeError, match=text) as caught:
        loop.go([(0, 4)], [(0, 4)])
    assert isinstance(caught.value, BusError) and isinstance(caught.value, StatusError)
    assert caught.value.kind == "bus error"
    loop.source.device_address = right
    with pytest.raises(DmaDecodeError):  # it stands still
        loop.dma.send.start(loop.source, [(0, 4)])
    loop.dma.reset()
    assert loop.go([(0, 4)], [(0, 4)])[:4].tolist() == [0, 1, 2, 3]


def test_a_packet_that_is_too_long_is_an_internal_error():
    loop = Loop()
    with pytest.raises(DmaInternalError, match="S2MM of axi_dma_0: internal error: .*the circuit sent more bytes"):
        loop.go([(0, 12)], [(0, 8)])


def test_a_packet_that_is_too_short_is_said(loop):
    with pytest.raises(DmaPacketError, match="S2MM of axi_dma_0: TLAST after 8 bytes, expected after 12"):
        loop.go([(0, 8)], [(0, 12)])


def test_a_receiver_that_waits_for_ever_meets_the_deadline(loop):
    loop.dma.receive.start(loop.target, [(0, 8)])
    start = loop.board.clock.now()
    with pytest.raises(DeadlineError):
        loop.board.wait("axi_dma_0", lambda _: loop.dma.receive.poll(), 0.25)
    assert loop.board.clock.now() - start == pytest.approx(0.25, rel=0.01)
    assert loop.dma.receive.progress().startswith("S2MM: packet 1 of 1 (8 bytes) is not through, status 0x0001")
    # After a reset nothing touches the buffer any more, whatever still comes.
    loop.dma.reset(loop.dma.receive)
    loop.dma.send.start(loop.source, [(0, 8)])
    loop.board.clock.advance(0.1)
    loop.board.settle()
    loop.target.invalidate()
    assert not loop.target.array.any()


def test_a_reset_that_does_not_end_is_an_error():
    loop = Loop()
    loop.twin.begin_reset = lambda: setattr(loop.twin, "_reset_until", float("inf"))
    with pytest.raises(DeadlineError, match="axi_dma_0: still in reset after 0.01 s: is the clock of the logic"):
        loop.dma.reset()


@pytest.mark.parametrize("built", [False, True])
def test_a_dma_built_otherwise_than_described_is_refused(built):
    loop = Loop(scatter_gather=built)
    loop.twin.scatter_gather = not built
    text = "built {} scatter-gather, the description says {}".format(
        *(("without", "with") if built else ("with", "without")))
    with pytest.raises(BoardError, match=text):
        loop.dma.check_present(loop.dma.send)


def test_descriptors_are_allocated_once_and_given_back():
    loop = Loop(scatter_gather=True)
    before = loop.board.memory.used
    for _ in range(5):
        loop.go([(0, 100)], [(0, 100)])
    assert loop.board.memory.used == before + 2 * 4096
    loop.dma.close()
    loop.dma.close()
    assert loop.board.memory.used == before


@pytest.mark.parametrize("bit, error", [
    (4, DmaInternalError), (5, DmaSlaveError), (6, DmaDecodeError), (8, DmaDescriptorError),
    (9, DmaDescriptorSlaveError), (10, DmaDescriptorDecodeError),
])
def test_every_error_bit_of_pg021_is_its_own_error(bit, error):
    with pytest.raises(error, match="channel: .*error"):
        check_status(1 << bit | 1, "channel")
    assert issubclass(error, DmaError)


def test_bits_that_are_no_errors_are_none():
    check_status(0x0001_700B, "channel")
    assert status_text(0x0001_0002) == "0x00010002 (idle)" and status_text(0x0001_0000) == "0x00010000 (running)"
    assert status_text(0x4041) == "0x00004041 (halted, decode, error)"


def test_a_transfer_that_outlives_its_configuration_is_refused(loop):
    loop.dma.receive.start(loop.target, [(0, 8)])
    loop.board.reset()
    with pytest.raises(BusError, match="configured again"):
        loop.dma.receive.poll()
    assert np.array_equal(loop.go([(0, 8)], [(0, 8)])[:8], np.arange(8))  # the next one finds the logic as it is now
