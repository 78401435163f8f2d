"""Our own engine's overlay, its .hwh written by us, through the real pynq package."""
from __future__ import annotations

import asyncio

import numpy as np
import pytest
import small

pytest.importorskip("pynq", reason="needs the real pynq package: tools/pynq_env.sh")

import pynq  # noqa: E402
from emulated_device import VERSION, EmulatedZynq, active  # noqa: E402
from emulated_dma import InterruptingZynq, Interrupts  # noqa: E402
from engine_bench.play import Registers  # noqa: E402
from engine_handoff import shipped_overlay  # noqa: E402

from qnn_pynq.boards import open_board  # noqa: E402
from qnn_pynq.catalogue import find_network  # noqa: E402
from qnn_pynq.contracts.clock import VirtualClock  # noqa: E402
from qnn_pynq.diagnosis.bringup import load  # noqa: E402
from qnn_pynq.diagnosis.bringup.run import bring_up  # noqa: E402
from qnn_pynq.engines import BoardEngine  # noqa: E402
from qnn_pynq.errors import DigestError, OverlayMissingError  # noqa: E402
from qnn_pynq.families.engine.registers import Reg  # noqa: E402

pytestmark = [pytest.mark.pynq, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
RUN = 0.24  # seconds; the wait looks for itself at 0.16 and 0.32
PIN = "engine_0/irq"


class EngineZynq(InterruptingZynq):
    """A Pynq-Z1 with the engine in it, its interrupt wired to the processor itself. `seconds`: of a run."""

    def __init__(self, overlay, **options):
        super().__init__(overlay, **options)
        self.seconds = None

    def program(self):
        super().program()
        self.twin.inject(lambda twin, event, value: self.seconds if self.seconds and event == "duration" else value)

    @property
    def line(self):
        return self.twin.interrupt


@pytest.fixture(params=[50, 100])
def overlay(request, tmp_path):
    return shipped_overlay(tmp_path / "engine-z7020", clock_mhz=request.param)


@pytest.fixture
def device(overlay):
    with active(EngineZynq(overlay)) as made:
        if VERSION >= (4, 0):  # our .hwh says what this release asks for
            made.fills_in_clocks = False
        yield made


@pytest.fixture
def loop():
    """The main thread's event loop, on which pynq listens."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    yield made
    made.close()
    asyncio.set_event_loop(asyncio.new_event_loop())


@pytest.fixture
def board(device, loop):
    with open_board("zynq", device=device) as opened:
        opened.configure(device.overlay)
        yield opened


def test_pynq_finds_the_engine_and_nothing_else(device, overlay, loop):
    design = pynq.Overlay(str(overlay.path / "engine.bit"), device=device)
    assert sorted(design.ip_dict) == ["engine_0", "ps7"]
    assert not design.hierarchy_dict and not design.gpio_dict and not design.interrupt_controllers
    assert set(design.mem_dict) <= {"PSDDR"}  # pynq's own name for the processor's memory
    found = design.ip_dict["engine_0"]
    assert (found["phys_addr"], found["addr_range"]) == (0x43C00000, 0x10000)
    assert (found["type"], found["fullpath"], found["memtype"]) == (overlay.ip.vlnv, "engine_0", "REGISTER")
    registers = found["registers"]
    for register in Reg:
        assert registers[register.name]["address_offset"] == getattr(Registers, register.name)
    assert registers["MAGIC"]["access"] == "read-only" and registers["CONTROL"]["access"] == "write-only"
    assert registers["SCRATCH_STRIDE"]["address_offset"] == Registers.REGIONS + 3 * 16 + 8
    assert registers["SCRATCH_STRIDE"]["access"] == "read-write" and len(registers) == 31


def test_the_register_map_reaches_the_circuit_by_name(device, overlay, loop):
    engine = pynq.Overlay(str(overlay.path / "engine.bit"), device=device).engine_0
    assert isinstance(engine, pynq.DefaultIP)
    registers = engine.register_map
    assert int(registers.MAGIC) == 0x514E4E45 and int(registers.VERSION) == 0x00010000
    sizes = {"PE": 32, "VECTORS": 4, "LANES": 64, "ACCUMULATOR_BITS": 24}
    assert {name: getattr(registers.CAPS0, name) for name in sizes} == sizes
    assert (registers.CAPS1.BANK_WORDS, registers.CAPS2.PROGRAM_WORDS) == (2048, 1024)
    registers.SCRATCH = 0x12345678
    registers.OUTPUT_SIZE = 4096
    twin = device.twin.ip("engine_0")
    assert (twin.read(Registers.SCRATCH), twin.read(Registers.REGIONS + 2 * 16 + 4)) == (0x12345678, 4096)
    assert "SCRATCH = Register(value=305419896)" in repr(registers)
    with pytest.raises(AttributeError):
        registers.STATUS = 1
    registers.IRQ_ENABLE.ERROR = 1
    assert twin.read(Registers.IRQ_ENABLE) == 2
    with pytest.raises(AttributeError):  # it would clear the other event, too
        registers.IRQ_STATUS.DONE = 1
    registers.GROUPS = 1
    registers.CONTROL.START = 1  # there is no program
    device.clock.sleep(0.001)
    assert registers.STATUS.ERROR == 1 and registers.STATUS.CODE == 1
    assert int(registers.IRQ_STATUS) == 2
    registers.IRQ_STATUS = 2
    assert int(registers.IRQ_STATUS) == 0
    registers.CONTROL.RESET = 1
    assert twin.read(Registers.SCRATCH) == 0


def test_loading_sets_the_clock_that_the_descriptor_names(board, device, overlay):
    clock = device.slcr[0x170]
    assert 1000 / (clock >> 8 & 0x3F) / (clock >> 20 & 0x3F) == overlay.clock_mhz == board.clock_mhz
    assert pynq.ps.Clocks.fclk0_mhz == overlay.clock_mhz


def test_the_board_reaches_the_registers_where_the_descriptor_says(board, device, overlay):
    assert board.loaded == overlay and device.downloads == 1
    registers = board.ip("engine_0")
    assert registers.read(Registers.MAGIC) == 0x514E4E45 and registers.window == overlay.ip.range
    registers.write(Registers.SCRATCH, 77)
    assert device.twin.ip("engine_0").read(Registers.SCRATCH) == 77
    assert board.design.ip_dict["engine_0"]["phys_addr"] == overlay.ip.address


@pytest.mark.parametrize("overlay", [100], indirect=True)
def test_a_run_ends_by_the_interrupt_that_the_descriptor_names(board, device):
    registers = board.ip("engine_0")
    program = (1, 0)  # END
    for at, half in enumerate(program):
        registers.write(Registers.PROGRAM + 4 * at, half)
    device.seconds = RUN
    with Interrupts(device) as uio:
        for _ in range(5):  # on a busy machine a wait may look before the interrupt gets through
            for offset, value in ((Registers.GROUPS, 1), (Registers.IRQ_STATUS, 3), (Registers.IRQ_ENABLE, 3),
                                  (Registers.CONTROL, Registers.START)):
                registers.write(offset, value)
            fired, reads = uio.fired, device.reads
            assert board.wait("engine_0", (Registers.STATUS, Registers.IS_DONE), 5.0) == Registers.IS_DONE
            assert device.reads - reads <= 8  # by looking alone they are 100
            if uio.fired > fired:
                break
        else:
            pytest.fail("no interrupt came through")
    assert pynq.PL.interrupt_pins[PIN]["raw_irq"] == 61 and pynq.PL.interrupt_pins[PIN]["controller"] == ""


@pytest.mark.parametrize("overlay", [50], indirect=True)
def test_published_parameters_give_the_golden_words(board, device, overlay, golden, shared_data):
    rows, _ = small.test_set(shared_data, "mnist")
    words = np.fromfile(str(golden / "bnn-pynq" / "results" / "t10k_lfcW1A1_gold.bin"), "<u8")[:10]
    engine = BoardEngine(board, [overlay])
    with Interrupts(device):
        engine.load(small.published(golden, "lfcW1A1"))
        assert np.array_equal(engine.run(rows[:10]).values, words)
    assert device.downloads == 1 and len(set(words.tolist())) > 3
    engine.close()


@pytest.mark.parametrize("overlay", [100], indirect=True)
def test_files_that_are_not_the_shipped_ones_never_reach_the_fpga(device, overlay, loop):
    with open_board("zynq", device=device) as board:
        path = overlay.path / "engine.bit"
        contents = path.read_bytes()
        path.write_bytes(contents[:-1] + b"x")
        with pytest.raises(DigestError, match="engine.bit has sha256 .*: put back the file"):
            board.configure(overlay)
        path.unlink()
        with pytest.raises(OverlayMissingError, match="engine.bit of overlay engine-z7020 should lie in "):
            board.configure(overlay)
        assert not device.downloads
        path.write_bytes(contents)
        board.configure(overlay)
        assert device.downloads == 1


class ClockedZynq(EmulatedZynq):
    """Its circuit runs at the clock that the processor's divisors make."""

    def mmap(self, base_addr, length):
        if self.twin is not None:
            divisors = self.slcr[0x170]
            self.twin._cycle = 1e-9 * (divisors >> 8 & 0x3F) * (divisors >> 20 & 0x3F)
        return super().mmap(base_addr, length)


def test_the_first_hour_of_a_board_sets_each_clock_that_there_is(tmp_path, loop, monkeypatch):
    monkeypatch.setattr(load, "_WINDOW", 1e-3)  # the emulation takes its time
    overlay = shipped_overlay(tmp_path / "engine-z7020", clock_mhz=100)
    clock = VirtualClock()
    with active(ClockedZynq(overlay, clock=clock, memory_limit=64 << 20)) as device:
        if VERSION >= (4, 0):
            device.fills_in_clocks = False
        with open_board("zynq", device=device, clock=clock) as board:
            report = bring_up(board, overlay, tmp_path / "hour.zip", [find_network("lfc-w1a1-mnist")], 0.0)
            assert pynq.ps.Clocks.fclk0_mhz == 100.0
    found = {result.name: result for result in report.results}
    assert [result.name for result in report.failed if result.name != "machine"] == []  # a PC is no board
    assert {found[name].state for name in ("configure", "one word", "weights", "network lfc-w1a1-mnist")} == {"ok"}
    for mhz, made in ((50, 50.0), (75, 1000 / 13), (100, 100.0), (125, 125.0)):
        details = found[f"clock {mhz} MHz"].details
        assert found[f"clock {mhz} MHz"].state == "ok", found[f"clock {mhz} MHz"].text
        assert details["registers_mhz"] == pytest.approx(made, abs=0.01)
        assert details["counted_mhz"] == pytest.approx(made, rel=0.01)
