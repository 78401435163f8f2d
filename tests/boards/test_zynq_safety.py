"""Logic that would not answer is not touched, and one that stopped answering is survived; through real pynq."""
from __future__ import annotations

import dataclasses
import gc
import json
import logging
import os

import lfc
import numpy as np
import oracle
import pytest

pytest.importorskip("pynq", reason="needs the real pynq package: tools/pynq_env.sh")

import pynq  # noqa: E402
from emulated_device import VERSION  # noqa: E402

from qnn_pynq.boards import open_board
from qnn_pynq.boards.zynq import board as zynq  # noqa: E402
from qnn_pynq.boards.zynq import device as zynq_device
from qnn_pynq.boards.zynq.state import clock_number  # noqa: E402
from qnn_pynq.catalogue import cached_path  # noqa: E402
from qnn_pynq.errors import BoardError, BusError  # noqa: E402
from qnn_pynq.families.bnn_pynq.driver import BnnPynqDriver  # noqa: E402

pytestmark = pytest.mark.pynq
CLOCK = 0x170


@pytest.fixture
def circuit():
    """Small enough to load its weights through Python."""
    return lfc.tiny()


def hide(device, circuit, monkeypatch):
    """No access to the logic from now on."""
    real = device.mmap

    def mmap(base, length):
        assert base != circuit.ip.address, "the logic was touched"
        return real(base, length)

    monkeypatch.setattr(device, "mmap", mmap)


# -- clock, ports, state ----------------------------------------------------------------------

def test_a_clock_that_is_wrong_after_the_load_is_set(board, device, circuit, fetched, monkeypatch, caplog):
    real = device.program
    monkeypatch.setattr(device, "program", lambda: (real(), device.slcr.update({CLOCK: 0x00200400})))
    caplog.set_level(logging.WARNING, "qnn_pynq")
    board.configure(circuit)
    assert board.clock_mhz == pynq.ps.Clocks.fclk0_mhz == 100.0
    assert "125 MHz, the overlay is made for 100 MHz" in caplog.text


def test_a_clock_that_cannot_be_set_stops_before_the_first_register(board, device, circuit, fetched, monkeypatch):
    class Stuck(dict):
        def update(self, values):
            super().update(values)
            self[CLOCK] = 0x00200400

    device.slcr = Stuck(device.slcr)
    hide(device, circuit, monkeypatch)
    with pytest.raises(BoardError, match="FCLK0 stays at 125 MHz after setting 100 MHz"):
        board.configure(circuit)
    assert board.loaded is None


@pytest.mark.skipif(VERSION < (4, 0), reason="older ones set the clocks of a Zynq-7000")
def test_pynq_4_as_shipped_is_refused_with_the_release_to_use(board, device, circuit, fetched):
    device.fills_in_clocks = False
    with pytest.raises(BoardError, match=r"pynq 4\.0\.0 cannot load .*TypeError.*dropped the Zynq-7000.*pynq==3\.1\.2"):
        board.configure(circuit)


@pytest.mark.parametrize("register, value, said", [
    (0x900, 0x0, "level shifters are 0x0"), (0x240, 0x1, "held in reset"),
])
def test_logic_that_is_cut_off_is_not_touched(board, device, circuit, fetched, monkeypatch, register, value, said):
    hide(device, circuit, monkeypatch)
    device.slcr[register] = value
    with pytest.raises(BoardError, match=said + ".*stall"):
        board.configure(circuit)


def debugfs(root, name, value):
    place = root / "sys/kernel/debug/clk/fclk0" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(value)


def test_a_clock_that_register_and_kernel_call_stopped_refuses_the_load(
        device, circuit, fetched, monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(zynq_device, "ROOT", tmp_path)
    caplog.set_level(logging.WARNING, "qnn_pynq")
    device.slcr[0x178] = 1
    with open_board("zynq", device=device) as board:
        for users in (None, "1\n"):  # the register alone is no proof
            if users:
                debugfs(tmp_path, "clk_enable_count", users)
            caplog.clear()
            board.configure(circuit)
            board.reset()
            assert "FCLK0 seems to be stopped" in caplog.text
        debugfs(tmp_path, "clk_enable_count", "0\n")
        hide(device, circuit, monkeypatch)
        with pytest.raises(BoardError, match="FCLK0 is stopped.*stall"):
            board.reset()


def test_the_clock_is_the_one_that_the_hwh_connects(board, device, circuit, fetched, monkeypatch):
    bitstream = cached_path(circuit, circuit.files["bitstream"])
    published = bitstream.with_suffix(".hwh")
    assert clock_number(published, circuit.ip.name) == 0
    port = '<PORT DIR="I" SIGIS="clk"><CONNECTION PORT="{}"/></PORT>'
    module = '<D><MODULE FULLNAME="/h/ip" INSTANCE="ip">{}</MODULE></D>'
    made = bitstream.with_name("x.hwh")
    for sources, number in ((["FCLK_CLK1"], 1), (["FCLK_CLK1", "FCLK_CLK2"], None), (["clk_out1"], None), ([], 0)):
        made.write_text(module.format("".join(map(port.format, sources))))
        assert clock_number(made, "h/ip") == number and clock_number(made, "ip") == 0
    made.write_text("<D>")
    assert clock_number(made, "h/ip") == clock_number(bitstream.with_name("none"), "h/ip") == 0

    monkeypatch.setattr(zynq, "clock_number", lambda hwh, ip: 1 if (hwh, ip) == (published, circuit.ip.name) else 0)
    board.configure(circuit)
    fclk0 = device.slcr[CLOCK]
    assert board.clock_mhz == pynq.ps.Clocks.fclk1_mhz == 100.0 and pynq.ps.Clocks.fclk0_mhz == 100.0
    device.slcr[0x180] = 0x00200400
    monkeypatch.setattr(device, "program", lambda program=device.program: (
        program(), device.slcr.update({0x180: 0x00200400})))
    board.reset()
    assert board.clock_mhz == pynq.ps.Clocks.fclk1_mhz == 100.0 and device.slcr[CLOCK] == fclk0
    monkeypatch.setattr(zynq, "clock_number", lambda hwh, ip: None)
    board.reset()
    assert board.clock_mhz is None and pynq.ps.Clocks.fclk1_mhz == 125.0  # left alone


def test_an_overlay_without_hwh_is_refused_in_our_words(board, circuit, fetched):
    bare = dataclasses.replace(circuit, files={"bitstream": circuit.files["bitstream"]})
    with pytest.raises(BoardError, match="its .hwh is not in its descriptor, pynq wants .*hwh"):
        board.configure(bare)


def test_logic_that_the_kernel_could_not_configure_is_not_touched(
        device, circuit, fetched, monkeypatch, tmp_path):
    state = tmp_path / "sys/class/fpga_manager/fpga0/state"
    state.parent.mkdir(parents=True)
    state.write_text("write error\n")
    monkeypatch.setattr(zynq_device, "ROOT", tmp_path)
    with open_board("zynq", device=device) as board:
        with monkeypatch.context() as context:
            hide(device, circuit, context)
            with pytest.raises(BoardError, match="'write error'"):
                board.configure(circuit)
        state.write_text("operating\n")
        board.configure(circuit)
        state.write_text("unknown\n")  # since then, somebody has switched it off
        with pytest.raises(BoardError, match="'unknown'"):
            board.ip("BlackBoxJam_0")


def test_whoever_configures_the_logic_past_pynq_is_noticed_in_the_kernels_log(
        device, circuit, fetched, monkeypatch, tmp_path):
    for path, content in (("proc/device-tree/compatible", "xlnx,zynq-7000"), ("dev/kmsg", ""),
                          ("sys/class/fpga_manager/fpga0/state", "operating")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    monkeypatch.setattr(zynq_device, "ROOT", tmp_path)
    with open_board("zynq", device=device) as board, open(str(tmp_path / "dev/kmsg"), "a") as kmsg:
        real = device.program

        def program():
            real()
            kmsg.write("6,1,1,-;fpga_manager fpga0: writing x.bin to Xilinx Zynq FPGA Manager\n")
            kmsg.flush()

        monkeypatch.setattr(device, "program", program)
        board.configure(circuit)
        assert board.loaded == circuit
        program()  # cat x.bin > /sys/class/fpga_manager/fpga0/firmware
        assert board.loaded is None
        board.configure(circuit)
        assert board.loaded == circuit


# -- bus errors --------------------------------------------------------------------------------

def test_a_bus_error_in_a_run_is_survived_and_nothing_leaks(board, device, circuit, fetched, monkeypatch):
    net, values = lfc.network(circuit, seed=3), lfc.bits(20, 64)
    driver = BnnPynqDriver(board, circuit, capacity=64)
    driver.load(net)
    driver.room(20)[:] = np.packbits(values, axis=1, bitorder="little")
    driver.start(20)

    def dies(offset, value=0):
        raise OSError(14, "Bad address")

    monkeypatch.setattr(device.twin, "read", dies)
    registers = board.ip("BlackBoxJam_0")
    registers._array._read = dies
    with pytest.raises(BusError, match=r"read of register 0x0 failed \(OSError.*Bad address.*reset\(\)") as caught:
        driver.finish()
    assert caught.value.kind == "bus error"
    for use in (lambda: registers.read(0), lambda: registers.write(0x10, 1), lambda: board.ip("BlackBoxJam_0")):
        with pytest.raises(BusError, match="cannot be used since"):
            use()
    board.reset()
    driver.load(net)
    assert np.array_equal(lfc.run(driver, values), oracle.lfc_words(net.layers, values))
    driver.close()
    gc.collect()
    assert not device.pool.live


def test_a_window_that_cannot_be_mapped_is_a_bus_error_and_loading_again_heals_it(
        board, device, circuit, fetched, monkeypatch):
    board.configure(circuit)
    with monkeypatch.context() as context:
        context.setattr(device, "mmap", lambda base, length: (_ for _ in ()).throw(RuntimeError("no such address")))
        with pytest.raises(BusError, match="mapping BlackBoxJam_0 at 0x43c00000 failed.*no such address"):
            board.ip("BlackBoxJam_0")
    with pytest.raises(BusError):
        board.ip("BlackBoxJam_0")
    board.configure(circuit)
    assert device.downloads == 2 and board.ip("BlackBoxJam_0").read(0) == 4


def test_a_board_that_is_broken_closes_and_lets_the_next_one_in(device, circuit, fetched):
    with open_board("zynq", device=device) as board:
        board.configure(circuit)
        board.fail(OSError("bus"), "a read")
    with open_board("zynq", device=device) as board:
        board.configure(circuit)
        assert board.ip("BlackBoxJam_0").read(0) == 4


# -- forks ------------------------------------------------------------------------------------

def test_a_forked_child_cannot_use_the_board_nor_free_its_memory(board, device, circuit, fetched):
    board.configure(circuit)
    buffer, registers = board.allocate(100), board.ip("BlackBoxJam_0")
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = []
        try:
            for use in (lambda: registers.read(0), lambda: board.configure(circuit), lambda: board.allocate(1),
                        board.reset,
                        lambda: board.wait("BlackBoxJam_0", (0, 4), 1.0)):
                try:
                    use()
                    said.append("nothing")
                except BoardError as error:
                    said.append(str(error))
            buffer.close()
            board.close()
            del buffer
            gc.collect()
            said.append(f"freed {device.pool.freed}")
        finally:
            os.write(tell, json.dumps(said).encode())
            os._exit(0)
    os.close(tell)
    with os.fdopen(told) as pipe:
        said = json.loads(pipe.read())
    os.waitpid(pid, 0)
    assert all(f"opened by process {os.getpid()} before it forked" in text for text in said[:5])
    assert said[5:] == ["freed []"]
    assert registers.read(0) == 4 and board.loaded == circuit
    buffer.close()
