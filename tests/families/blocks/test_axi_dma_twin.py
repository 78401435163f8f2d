"""The AXI DMA's twin against PG021, register by register."""
from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from qnn_pynq.boards.emulated import EmulatedMemory
from qnn_pynq.contracts.clock import VirtualClock
from qnn_pynq.families.blocks.axi_dma_twin import AxiDmaTwin
from qnn_pynq.families.blocks.axi_stream_twin import Fifo
from qnn_pynq.streams import Dma

MM2S, S2MM = 0x00, 0x30
CONTROL, STATUS, CURRENT, TAIL, ADDRESS, LENGTH = 0x00, 0x04, 0x08, 0x10, 0x18, 0x28
HALTED, IDLE, SG, INTERNAL, DECODE, IOC, ERROR = 1, 2, 8, 0x10, 0x40, 0x1000, 0x4000


class Bench:
    """A DMA with its streams, memory and clock."""

    def __init__(self, **dma):
        self.clock = VirtualClock()
        self.memory = EmulatedMemory(1 << 20)
        self.out, self.into = Fifo(), Fifo()
        overlay = SimpleNamespace(clock_mhz=100.0, timing={})
        self.twin = AxiDmaTwin(overlay, self.memory, self.clock, Dma("axi_dma_0", **dma), self.out, self.into)

    def read(self, offset):
        return self.twin.read(offset)

    def write(self, offset, value):
        self.twin.write(offset, value)

    def block(self, data):
        """Memory with these bytes."""
        address, block = self.memory.allocate(len(data))
        block[:] = np.frombuffer(bytes(data), np.uint8)
        return address

    def later(self, seconds=0.001):
        self.clock.advance(seconds)
        self.twin.settle()

    def send(self, address, nbytes):
        self.write(MM2S + ADDRESS, address)
        self.write(MM2S + LENGTH, nbytes)

    def receive(self, address, nbytes):
        self.write(S2MM + ADDRESS, address)
        self.write(S2MM + LENGTH, nbytes)

    def arrives(self, data, last=True):
        self.into.put(np.frombuffer(bytes(data), np.uint8), last, self.clock.now())
        self.twin.settle()

    def chain(self, pieces, **control):
        """Descriptors for (address, bytes, control bits), each on 64 bytes; their address."""
        address, block = self.memory.allocate(64 * len(pieces))
        words = block.view(np.uint32).reshape(-1, 16)
        for number, (place, nbytes, bits) in enumerate(pieces):
            words[number, 0] = address + 64 * (number + 1)
            words[number, 2], words[number, 6] = place, nbytes | bits
        return address, words


@pytest.fixture
def bench():
    return Bench()


@pytest.mark.parametrize("channel", [MM2S, S2MM])
def test_after_reset_a_channel_is_halted_and_not_idle(bench, channel):
    assert bench.read(channel + CONTROL) == 0x00010002 and bench.read(channel + STATUS) == 0x00010001
    assert Bench(scatter_gather=True).read(channel + STATUS) == 0x00010009
    bench.write(channel + CONTROL, 1)
    # Direct register mode: idle is 0 before the first transfer.
    assert bench.read(channel + CONTROL) == 0x00010003 and bench.read(channel + STATUS) == 0x00010000
    bench.write(channel + CONTROL, 0)
    assert bench.read(channel + STATUS) == 0x00010001


def test_mm2s_sends_a_packet_and_says_so(bench):
    address = bench.block(range(100))
    bench.write(MM2S + CONTROL, 1)
    bench.send(address, 100)
    assert bench.read(MM2S + STATUS) & 0xFFFF == 0 and bench.twin.busy_until > bench.clock.now()
    bench.later()
    assert bench.read(MM2S + STATUS) & 0xFFFF == IDLE | IOC and bench.twin.busy_until is None
    data, last = bench.out.take(200)
    assert data.tolist() == list(range(100)) and last
    bench.write(MM2S + STATUS, IOC)
    assert bench.read(MM2S + STATUS) & 0xFFFF == IDLE


def test_a_transfer_takes_a_beat_a_cycle(bench):
    bench.write(MM2S + CONTROL, 1)
    bench.send(bench.block(bytes(4000)), 4000)
    begun = bench.clock.now()
    assert bench.twin.busy_until == pytest.approx(begun + 1000 * 10e-9)
    bench.clock.advance(1000 * 10e-9 - 1e-9)
    bench.twin.settle()
    assert not bench.out.size
    bench.clock.advance(2e-9)
    bench.twin.settle()
    assert bench.out.size == 4000


def test_s2mm_stops_at_tlast_and_length_says_how_far(bench):
    address = bench.block(bytes(64))
    bench.write(S2MM + CONTROL, 1)
    bench.receive(address, 64)
    bench.arrives(b"abc", last=False)
    assert bench.read(S2MM + STATUS) & 0xFFFF == 0 and math.isinf(bench.twin.busy_until)
    bench.arrives(b"de")
    assert bench.read(S2MM + STATUS) & 0xFFFF == IDLE | IOC and bench.read(S2MM + LENGTH) == 5
    assert bench.memory.read(address, 6).tobytes() == b"abcde\0"


def test_without_tlast_s2mm_never_ends(bench):
    bench.write(S2MM + CONTROL, 1)
    bench.receive(bench.block(bytes(4)), 4)
    bench.arrives(b"abcd", last=False)
    bench.later(1.0)
    assert bench.read(S2MM + STATUS) & 0xFFFF == 0


def test_a_packet_longer_than_the_length_is_an_internal_error_and_halts(bench):
    bench.write(S2MM + CONTROL, 1)
    bench.receive(bench.block(bytes(4)), 4)
    bench.arrives(b"abcde")
    assert bench.read(S2MM + STATUS) & 0xFFFF == HALTED | INTERNAL | ERROR
    # Nothing but a reset helps: neither a new run, nor writing ones to the bits.
    bench.write(S2MM + STATUS, 0xFFFF)
    bench.write(S2MM + CONTROL, 1)
    bench.receive(bench.block(bytes(4)), 4)
    assert bench.read(S2MM + STATUS) & 0xFFFF == HALTED | INTERNAL


@pytest.mark.parametrize("channel", [MM2S, S2MM])
def test_a_reset_is_one_of_both_channels_and_takes_some_cycles(bench, channel):
    for each in (MM2S, S2MM):
        bench.write(each + CONTROL, 1)
        bench.write(each + ADDRESS, 0x3000_0000)
        bench.write(each + LENGTH, 4)
    bench.arrives(b"abcd")
    bench.later()
    for each in (MM2S, S2MM):
        assert bench.read(each + STATUS) & 0xFFFF == HALTED | DECODE | ERROR
    bench.write(channel + CONTROL, 4)
    assert bench.read(channel + CONTROL) & 4 and bench.twin.busy_until is not None
    bench.write(channel + CONTROL, 1)  # lost: in reset
    bench.later()
    for each in (MM2S, S2MM):
        assert bench.read(each + CONTROL) == 0x00010002 and bench.read(each + STATUS) == 0x00010001
        assert bench.read(each + ADDRESS) == 0


def test_a_halted_channel_starts_nothing_and_neither_does_length_0(bench):
    address = bench.block(bytes(4))
    bench.send(address, 4)
    bench.later()
    assert bench.read(MM2S + STATUS) & 0xFFFF == HALTED and not bench.out.size
    bench.write(MM2S + CONTROL, 1)
    bench.send(address, 0)
    bench.later()
    assert bench.read(MM2S + STATUS) & 0xFFFF == 0 and not bench.out.size


def test_the_length_register_drops_the_bits_above_its_width():
    bench = Bench(length_bits=14)
    bench.write(MM2S + CONTROL, 1)
    bench.send(bench.block(bytes(20000)), 20000)
    bench.later()
    assert bench.out.size == 20000 - 16384  # silently, which is why a driver must refuse it


def test_the_interrupt_line_follows_enable_and_status(bench):
    address = bench.block(bytes(8))
    assert bench.twin.interrupts == {"mm2s_introut": False, "s2mm_introut": False}
    bench.write(MM2S + CONTROL, 1 | IOC)
    bench.send(address, 4)
    bench.later()
    assert bench.twin.interrupts == {"mm2s_introut": True, "s2mm_introut": False} and bench.twin.interrupt
    bench.write(MM2S + STATUS, IOC)
    assert not bench.twin.interrupt
    bench.write(MM2S + CONTROL, 1)
    bench.send(address, 4)
    bench.later()
    assert bench.read(MM2S + STATUS) & IOC and not bench.twin.interrupt


def test_the_threshold_counts_packets(bench):
    address = bench.block(bytes(8))
    bench.write(MM2S + CONTROL, 1 | 3 << 16)
    for packet in range(3):
        assert not bench.read(MM2S + STATUS) & IOC and bench.read(MM2S + STATUS) >> 16 & 0xFF == 3 - packet
        bench.send(address, 4)
        bench.later()
    assert bench.read(MM2S + STATUS) & IOC


def test_scatter_gather_sends_packets_of_several_descriptors():
    bench = Bench(scatter_gather=True)
    a, b = bench.block(b"abcd"), bench.block(b"efg")
    chain, words = bench.chain([(a, 4, 1 << 27), (b, 3, 1 << 26), (b, 2, 3 << 26)])
    bench.write(MM2S + CURRENT, chain)
    bench.write(MM2S + CONTROL, 1)
    bench.write(MM2S + CURRENT, 0x1000)  # fixed while it runs
    bench.write(MM2S + TAIL, chain + 128)
    bench.later()
    assert bench.read(MM2S + STATUS) & 0xFFFF == SG | IDLE | IOC
    assert bench.out.take(100, packet=True)[0].tobytes() == b"abcdefg"
    data, last = bench.out.take(100, packet=True)
    assert data.tobytes() == b"ef" and last
    assert words[:, 7].tolist() == [1 << 31 | 4, 1 << 31 | 3, 1 << 31 | 2]
    assert bench.read(MM2S + CURRENT) == chain + 128


def test_scatter_gather_receives_until_tlast_and_marks_it():
    bench = Bench(scatter_gather=True)
    place = bench.block(bytes(12))
    chain, words = bench.chain([(place, 4, 0), (place + 4, 4, 0), (place + 8, 4, 0)])
    bench.write(S2MM + CURRENT, chain)
    bench.write(S2MM + CONTROL, 1)
    bench.write(S2MM + TAIL, chain + 128)
    bench.arrives(b"abcdef")
    assert words[:, 7].tolist() == [1 << 31 | 4, 1 << 31 | 1 << 26 | 2, 0]
    assert not bench.read(S2MM + STATUS) & IDLE
    bench.arrives(b"gh")
    assert words[2, 7] == 1 << 31 | 1 << 26 | 2 and bench.read(S2MM + STATUS) & 0xFFFF == SG | IDLE | IOC
    assert bench.memory.read(place, 12).tobytes() == b"abcdef\0\0gh\0\0"


@pytest.mark.parametrize("spoil, status", [
    (lambda words: words.__setitem__((0, 7), 1 << 31), 0x100),  # complete already
    (lambda words: words.__setitem__((0, 6), 0), INTERNAL),  # no length
    (lambda words: words.__setitem__((0, 2), 0x3000_0000), DECODE),  # data nowhere
])
def test_bad_descriptors_halt_with_their_bit(spoil, status):
    bench = Bench(scatter_gather=True)
    chain, words = bench.chain([(bench.block(b"abcd"), 4, 3 << 26)])
    spoil(words)
    bench.write(MM2S + CURRENT, chain)
    bench.write(MM2S + CONTROL, 1)
    bench.write(MM2S + TAIL, chain)
    bench.later()
    assert bench.read(MM2S + STATUS) & 0xFFFF == HALTED | SG | ERROR | status
    assert status != DECODE or words[0, 7] & 1 << 30


def test_a_descriptor_nowhere_is_a_decode_error_of_scatter_gather():
    bench = Bench(scatter_gather=True)
    bench.write(MM2S + CURRENT, 0x3000_0000)
    bench.write(MM2S + CONTROL, 1)
    bench.write(MM2S + TAIL, 0x3000_0000)
    assert bench.read(MM2S + STATUS) & 0xFFFF == HALTED | SG | ERROR | 0x400


def test_a_fifo_gives_packets_in_time_and_order():
    fifo = Fifo(capacity=4)
    assert fifo.room and math.isinf(fifo.moment())
    fifo.put(np.arange(3, dtype=np.uint8), True, 1.0)
    assert fifo.room and fifo.moment() == 1.0 and math.isinf(fifo.moment(4))
    fifo.put(np.arange(3, 6, dtype=np.uint8), False, 2.0)
    assert not fifo.room and fifo.moment(4) == 2.0
    assert fifo.take(10, now=0.5)[0].size == 0
    assert [part.tolist() if hasattr(part, "tolist") else part for part in fifo.take(2, packet=True)] == [[0, 1], False]
    data, last = fifo.take(10, now=5.0, packet=True)
    assert data.tolist() == [2] and last and fifo.size == 3
    assert fifo.take(10, now=5.0)[0].tolist() == [3, 4, 5]
