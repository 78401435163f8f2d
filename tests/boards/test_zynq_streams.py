"""StreamOverlay on a ZynqBoard over the real pynq package: by our DMA driver and by pynq's own."""
from __future__ import annotations

import asyncio
import gc

import numpy as np
import pytest
from bitfiles import bit_file
from stream_circuits import EXAMPLES, stream

pytest.importorskip("pynq", reason="needs the real pynq package (tools/pynq_env.sh)")

import pynq.lib.dma  # noqa: E402
from emulated_device import VERSION, EmulatedZynq, Window, active  # noqa: E402
from emulated_dma import INTC, IRQ, Intc, InterruptingZynq, Interrupts  # noqa: E402

from qnn_pynq import StreamOverlay, open_board  # noqa: E402
from qnn_pynq.errors import (  # noqa: E402
    BoardError,
    DeadlineError,
    DescriptorError,
    DmaError,
    DmaPacketError,
    InputError,
    OverlayMissingError,
)
from qnn_pynq.streams import describe  # noqa: E402
from qnn_pynq.streams.circuit import make_circuit  # noqa: E402

pytestmark = pytest.mark.pynq
ENGINES = ["own", "pynq"]


def parameters(description, dma):
    """As Vivado writes them."""
    sends, receives = (dma.name in [each.dma for each in group] for group in (description.inputs, description.outputs))
    return {"c_include_sg": int(dma.scatter_gather), "c_sg_length_width": dma.length_bits,
            "c_include_mm2s": int(sends), "c_include_s2mm": int(receives),
            "c_include_mm2s_dre": int(dma.unaligned), "c_include_s2mm_dre": int(dma.unaligned),
            "c_m_axi_mm2s_data_width": dma.data_bits, "c_m_axi_s2mm_data_width": dma.data_bits}


def write_design(folder, description, **changes):
    """A bitstream (any frames will do here) and the parts of its .hwh that are looked at; the .bit."""
    modules, ranges = [], []
    for dma in description.dmas:
        values = {**parameters(description, dma), **changes}
        address = values.pop("address", dma.address)
        module = '<MODULE INSTANCE="{}" VLNV="xilinx.com:ip:axi_dma:7.1"><PARAMETERS>{}</PARAMETERS></MODULE>'
        modules.append(module.format(
            dma.name, "".join('<PARAMETER NAME="{}" VALUE="{}"/>'.format(*item) for item in values.items())))
        ranges.append(f'<MEMRANGE INSTANCE="{dma.name}" BASEVALUE="{address:#X}"/>')
    if description.control == "start":
        modules.append(f'<MODULE INSTANCE="{description.ip}" VLNV="{description.vlnv}"/>')
        ranges.append(f'<MEMRANGE INSTANCE="{description.ip}" BASEVALUE="{description.address:#X}"/>')
    bit = folder / (description.name + ".bit")
    bit.write_bytes(bit_file())
    bit.with_suffix(".hwh").write_text("<EDKSYSTEM><MODULES>{}</MODULES><MEMORYMAP>{}</MEMORYMAP></EDKSYSTEM>".format(
        "".join(modules), "".join(ranges)))
    return bit


class Parser:
    """What pynq reads from a .hwh, written down."""

    def __init__(self, description):
        self.ip_dict = {
            dma.name: {"fullpath": dma.name, "type": "xilinx.com:ip:axi_dma:7.1", "phys_addr": dma.address,
                       "addr_range": dma.range, "state": None, "bdtype": None, "registers": {}, "interrupts": {},
                       "gpio": {}, "memtype": "REGISTER", "mem_id": "S_AXI_LITE",
                       "parameters": {name: str(value) for name, value in parameters(description, dma).items()}}
            for dma in description.dmas}
        if description.control == "start":
            self.ip_dict[description.ip] = {
                "fullpath": description.ip, "type": description.vlnv, "phys_addr": description.address,
                "addr_range": description.range, "state": None, "bdtype": None, "registers": {}, "interrupts": {},
                "gpio": {}, "memtype": "REGISTER", "mem_id": "s_axi_control", "parameters": {}}
        self.interrupt_pins, self.interrupt_controllers, self.mem_dict = {}, {}, {}
        self.gpio_dict, self.hierarchy_dict, self.clock_dict, self.systemgraph = {}, {}, {}, None


class StreamZynq(EmulatedZynq):
    """A Pynq-Z1 whose logic is a circuit with streams, behind its DMAs."""

    def get_bitfile_metadata(self, bitfile_name, partial=False):
        return Parser(self.overlay.streams)

    def mmap(self, base_addr, length):
        names = [ip.name for ip in self.overlay.ips if ip.address == base_addr]
        if names and self.twin is not None:
            # Of whatever is there then: a mapping outlives a configuration.
            return Window(lambda offset: self.twin.ip(names[0]).read(offset),
                          lambda offset, value: self.twin.ip(names[0]).write(offset, value), length)
        return super().mmap(base_addr, length)


@pytest.fixture
def opened(tmp_path):
    """opened(description, function, engine) -> StreamOverlay on a device of its own; all closed at the end."""
    stack = []

    def make(description, function, engine, **options):
        device = StreamZynq(make_circuit(description, write_design(tmp_path, description), function))
        context = active(device)
        context.__enter__()
        stack.append(context)
        board = open_board("zynq", device=device)
        stack.append(board)
        made = StreamOverlay(description, tmp_path / (description.name + ".bit"), board=board, engine=engine, **options)
        stack.append(made)
        return made

    yield make
    for each in reversed(stack):
        each.__exit__(None, None, None)


def loop(scatter_gather=False, rule="batch", **dma):
    ends = stream("x", "ap_fixed<12,4>", (3, 2), tlast=rule)
    return describe("loopback", [ends], [dict(ends, name="y")],
                    dmas=[{"name": "axi_dma_0", "scatter_gather": scatter_gather, **dma}])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scatter_gather", [False, True])
@pytest.mark.parametrize("rule", ["batch", "sample"])
def test_arrays_go_through_pynqs_overlay_mmio_allocate_and_dma(opened, engine, scatter_gather, rule):
    if scatter_gather and engine == "pynq" and VERSION < (3, 0):
        pytest.skip("pynq 2.7 wants addresses that are multiples of 6 with scatter-gather")
    with opened(loop(scatter_gather, rule), lambda x: 2 * x, engine) as circuit:
        assert isinstance(circuit.board.design.axi_dma_0, pynq.lib.dma.DMA)
        x = np.random.RandomState(1).randint(-512, 512, (40, 3, 2)) / 256
        for _ in range(3):
            assert np.array_equal(circuit(x), 2 * x)
        assert np.array_equal(circuit(x[0]), 2 * x[0])
        with pytest.raises(InputError, match=r"x\[0, 0, 0\] is 9"):
            circuit(np.full((3, 2), 9))
        pool = circuit.board.device.pool
    gc.collect()
    assert not pool.live


ONE_WAY = describe("one_way", [stream("x", dma="sender")], [stream("y", dma="receiver")])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("description, function, inputs, outputs", [
    (ONE_WAY, lambda x: 2 * x, [np.ones((9, 3))], [np.full((9, 3), 2)]),
    (EXAMPLES["masters"], lambda a: a + 1, [np.zeros((9, 6), int)], [np.ones((9, 6))]),
    (EXAMPLES["started"], lambda x, w: (x, w[0, :4]), [np.ones((9, 3)), np.zeros((9, 2, 5))],
     [np.ones((9, 3)), np.zeros((9, 4))]),
])
def test_dmas_of_one_direction_and_axi_masters(opened, engine, description, function, inputs, outputs):
    with opened(description, function, engine) as circuit:
        found = circuit(*inputs)
        found = list(found.values()) if isinstance(found, dict) else [found]
        assert all(np.array_equal(*pair) for pair in zip(found, outputs)) and len(found) == len(outputs)


def test_packets_too_short_for_pynqs_chains_are_refused(opened):
    """Two descriptors of less than a word each: pynq divides by 0."""
    if VERSION < (3, 0):
        pytest.skip("pynq 2.7 wants addresses that are multiples of 6 with scatter-gather")
    ends = stream("x", "int16", (3,), tlast="sample")
    description = describe("loopback", [ends], [dict(ends, name="y")],
                           dmas=[{"name": "axi_dma_0", "scatter_gather": True, "unaligned": True}])
    with opened(description, lambda x: x, "pynq") as circuit:
        with pytest.raises(BoardError, match="6 bytes in a packet: expected at least 8 for pynq's driver"):
            circuit([1, 2, 3])


@pytest.mark.parametrize("engine", ENGINES)
def test_short_transfers_are_cut_or_chained(opened, engine):
    with opened(loop(length_bits=8), lambda x: x, engine) as circuit:
        x = np.arange(600).reshape(100, 3, 2) / 256
        assert np.array_equal(circuit(x), x)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_circuit_that_never_answers_is_a_deadline_and_the_next_call_works(opened, engine):
    """pynq's own wait() would hang here for ever."""
    with opened(loop(), lambda x: x, engine, timeout=0.2) as circuit:
        x = np.ones((3, 2))
        circuit(x)
        circuit.board.device.twin.circuit._hook = lambda event, value: value[:0]
        downloads = circuit.board.device.downloads
        with pytest.raises(DeadlineError, match="loopback: not done within 0.2"):
            circuit(x)
        assert np.array_equal(circuit(x), x) and circuit.board.device.downloads == downloads + 1


@pytest.mark.parametrize("engine", ENGINES)
def test_error_bits_and_wrong_packets_are_named(opened, engine):
    with opened(loop(), lambda x: x, engine) as circuit:
        x = np.ones((3, 2))
        circuit(x)
        circuit.board.device.twin.circuit._hook = lambda event, value: value[:1]
        with pytest.raises(DmaPacketError, match="S2MM of axi_dma_0: TLAST after 4 bytes, expected after 12"):
            circuit(x)
        assert np.array_equal(circuit(x), x)
        circuit.board.device.twin.circuit._hook = lambda event, value: np.concatenate([value.reshape(-1)] * 2)
        with pytest.raises(DmaError, match="internal error"):
            circuit(x)
        assert np.array_equal(circuit(x), x)


@pytest.mark.parametrize("changes, message", [
    ({"c_sg_length_width": 14}, "axi_dma_0: length_bits is 26 in the description, c_sg_length_width is 14 in"),
    ({"c_include_sg": 1}, "axi_dma_0: scatter_gather is 0 in the description, c_include_sg is 1 in the design"),
    ({"c_include_s2mm": 0}, "axi_dma_0: a channel for the stream is 1 in the description, c_include_s2mm is 0 in"),
    ({"c_m_axi_mm2s_data_width": 64}, "axi_dma_0: data_bits is 32 in the description, c_m_axi_mm2s_data_width is 64"),
    ({"address": 0x40410000}, "axi_dma_0: the description says 0x40400000, the design 0x40410000"),
])
def test_a_bitstream_that_is_not_the_described_one_is_refused(tmp_path, changes, message):
    description = loop()
    bit = write_design(tmp_path, description, **changes)
    with pytest.raises(DescriptorError, match="not the design that description describes; .*\n  " + message):
        make_circuit(description, bit)
    assert make_circuit(description, write_design(tmp_path, description)).files["bitstream"].size == len(bit_file())


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(OverlayMissingError, match="none.bit: no such file; expected the .bit of the design, and its"):
        make_circuit(loop(), tmp_path / "none.bit")
    with pytest.raises(BoardError, match="pynq's DMA driver needs an FPGA; use engine='own' on emulated board"):
        StreamOverlay(loop(), board="emulated", twin=lambda x: x, engine="pynq")


class InterruptedZynq(InterruptingZynq, StreamZynq):
    """The same with the receiver's interrupt on a controller that pynq knows; transfers take `seconds`."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.seconds = 0.0

    def get_bitfile_metadata(self, bitfile_name, partial=False):
        parser = super().get_bitfile_metadata(bitfile_name, partial)
        pin = "axi_dma_0/s2mm_introut"
        parser.interrupt_pins = {pin: {"controller": "axi_intc_0", "index": 0, "fullpath": pin}}
        parser.interrupt_controllers = {"axi_intc_0": {"parent": "", "index": 0, "raw_irq": IRQ}}
        parser.ip_dict["axi_intc_0"] = dict(parser.ip_dict["axi_dma_0"], fullpath="axi_intc_0", phys_addr=INTC,
                                            type="xilinx.com:ip:axi_intc:4.1", parameters={})
        parser.ip_dict["axi_dma_0"]["interrupts"] = {"s2mm_introut": parser.interrupt_pins[pin]}
        return parser

    def program(self):
        super().program()
        dma = self.twin.dmas["axi_dma_0"]
        dma.inject(lambda twin, event, value: self.seconds if event == "duration" else value)
        self.intc = Intc(lambda: [dma.interrupts["s2mm_introut"]])
        self.windows = {INTC: self.intc}


def counted(twin):
    """A list that grows with every read of the twin's registers."""
    found, plain = [], twin.read
    twin.read = lambda offset: found.append(offset) or plain(offset)
    return found


def test_a_wired_interrupt_ends_the_wait(tmp_path):
    description = loop(interrupt=True)
    reads = []
    for deaf in (False, True):
        made = asyncio.new_event_loop()
        asyncio.set_event_loop(made)
        device = InterruptedZynq(make_circuit(description, write_design(tmp_path, description), lambda x: x))
        device.seconds = 0.05
        with active(device), open_board("zynq", device=device) as board:
            bit = tmp_path / "loopback.bit"
            with StreamOverlay(description, bit, board=board) as circuit, Interrupts(device) as uio:
                device.intc.deaf = deaf
                board.ip("axi_dma_0").read(0)
                count = counted(device.twin.dmas["axi_dma_0"])
                x = np.ones((4, 3, 2))
                for _ in range(3):
                    assert np.array_equal(circuit(x), x)  # a deaf controller costs time, and nothing else
                    if deaf or uio.fired:  # else this machine slept through the transfer
                        break
                    count.clear()
                assert (uio.fired > 0) != deaf
                reads.append(len(count))
        made.close()
    asyncio.set_event_loop(asyncio.new_event_loop())
    assert max(reads) < 60, reads  # hundreds, when looked at again and again
