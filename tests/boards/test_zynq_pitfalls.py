"""pynq's traps, through the real pynq package: none of them gives a hang, a leak or a wrong answer."""
from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import time
from pathlib import Path

import lfc
import numpy as np
import oracle
import pytest

pytest.importorskip("pynq", reason="needs the real pynq package: tools/pynq_env.sh")

import pynq  # noqa: E402
from emulated_device import SYNCS_WHOLE_BUFFERS, VERSION, EmulatedZynq, caches  # noqa: E402

from qnn_pynq.boards import open_board
from qnn_pynq.boards.zynq import state as zynq_state  # noqa: E402
from qnn_pynq.catalogue import cached_path  # noqa: E402
from qnn_pynq.errors import BoardError, DeadlineError, ForeignBitstreamError  # noqa: E402
from qnn_pynq.families.bnn_pynq.driver import BnnPynqDriver  # noqa: E402

pytestmark = pytest.mark.pynq
notes = pytest.mark.skipif(VERSION < (3, 0), reason="pynq 2.7 keeps no files")
CLOCK = 0x170


@pytest.fixture
def circuit():
    """Small enough to load its weights through Python."""
    return lfc.tiny()


def bitstream(circuit):
    return cached_path(circuit, circuit.files["bitstream"])


def hide(device, circuit, monkeypatch):
    """No access to the logic from now on."""
    real = device.mmap

    def mmap(base, length):
        assert base != circuit.ip.address, "the logic was touched"
        return real(base, length)

    monkeypatch.setattr(device, "mmap", mmap)


# -- stale caches -----------------------------------------------------------------------------

@notes
def test_metadata_cached_from_another_hwh_of_the_same_bitstream_is_dropped(
        board, device, circuit, fetched, tmp_path, caplog):
    copy = tmp_path / "design.bit"
    shutil.copyfile(str(bitstream(circuit)), str(copy))
    hwh = bitstream(circuit).with_suffix(".hwh").read_text()
    assert "0x43C00000" in hwh
    copy.with_suffix(".hwh").write_text(hwh.replace("0x43C00000", "0x43D00000"))
    assert pynq.Overlay(str(copy), device=device).ip_dict["BlackBoxJam_0"]["phys_addr"] == 0x43D00000
    again = pynq.Overlay(str(bitstream(circuit)), device=device)
    assert again.ip_dict["BlackBoxJam_0"]["phys_addr"] == 0x43D00000  # pynq believes its cache
    caplog.set_level(logging.WARNING, "qnn_pynq")
    board.configure(circuit)
    assert board.ip("BlackBoxJam_0").read(0) == 4
    assert "trying again without pynq's" in caplog.text and "_current_metadata.pkl" in caplog.text


@notes
@pytest.mark.parametrize("damage", [
    "bitfile gone", "note cut off", "note too deep", "metadata cut off", "metadata gone",
])
def test_notes_that_pynq_cannot_read_any_more_do_not_stop_a_load(board, device, circuit, fetched, tmp_path, damage):
    copy = tmp_path / "design.bit"
    for suffix in (".bit", ".hwh"):
        shutil.copyfile(str(bitstream(circuit).with_suffix(suffix)), str(copy.with_suffix(suffix)))
    pynq.Overlay(str(copy), device=device)
    note, = (path for path in caches() if path.endswith(".json"))
    metadata, = (path for path in caches() if path.endswith(".pkl"))
    if damage == "bitfile gone":
        copy.unlink()  # pynq 3.0.1: FileNotFoundError, then "Unable to parse metadata"
    elif damage == "note cut off":
        Path(note).write_text(Path(note).read_text()[:40])
    elif damage == "note too deep":
        Path(note).write_text("[" * 100_000)
    elif damage == "metadata cut off":
        Path(metadata).write_bytes(Path(metadata).read_bytes()[:100])
    else:
        os.remove(metadata)
    board.configure(circuit)
    assert board.loaded == circuit and board.ip("BlackBoxJam_0").read(0) == 4


@notes
def test_another_process_that_loads_through_pynq_is_noticed_by_its_note(board, circuit, fetched, tmp_path):
    """In this process pynq itself knows; of another one only its file tells."""
    board.configure(circuit)
    registers = board.ip("BlackBoxJam_0")
    foreign = tmp_path / "foreign.bit"
    foreign.write_bytes(b"another design")
    from pynq.pl_server.global_state import GlobalState, save_global_state

    save_global_state(GlobalState(bitfile_name=str(foreign), active_name="Pynq-Z1", timestamp="now", psddr={}))
    assert board.loaded is None
    with pytest.raises(BoardError, match="configured again"):
        registers.read(0)


@notes
def test_a_note_of_another_bitstream_after_our_load_stops_before_the_first_register(
        board, device, circuit, fetched, monkeypatch):
    real = device.program

    def raced():
        real()
        note, = (path for path in caches() if path.endswith(".json"))
        said = json.loads(Path(note).read_text())
        Path(note).write_text(json.dumps(dict(said, bitfile_name="/home/other.bit", bitfile_hash="0" * 40)))

    monkeypatch.setattr(device, "program", raced)
    hide(device, circuit, monkeypatch)
    with pytest.raises(ForeignBitstreamError, match="/home/other.bit"):
        board.configure(circuit)
    assert board.loaded is None


# -- which device -----------------------------------------------------------------------------

def test_a_given_device_becomes_the_active_one_and_gets_the_clocks(device, circuit, fetched):
    assert pynq.ps.Clocks.fclk0_mhz == 100.0  # pynq has now seen `device`, and would keep it
    other = EmulatedZynq(circuit)
    other.slcr[CLOCK] = 0x00200A00
    with open_board("zynq", device=other) as board:
        assert pynq.Device.active_device is other
        before = dict(device.slcr)
        board.configure(circuit)
        assert board.clock_mhz == 100.0 and other.slcr[CLOCK] != 0x00200A00 and device.slcr == before
        after = other.slcr[CLOCK]
        pynq.ps.Clocks.fclk0_mhz = 50
        assert (other.slcr[CLOCK] != after) and device.slcr == before
    other.close()


# -- memory -----------------------------------------------------------------------------------

def test_every_buffer_is_freed_once_however_often_it_is_closed(board, device):
    buffers = [board.allocate(100 + n) for n in range(5)]
    addresses = [buffer.device_address for buffer in buffers]
    views = [buffers[0].array[10:20], buffers[1].array.reshape(-1)]
    for buffer in buffers * 2:
        buffer.close()
    del buffers, buffer
    gc.collect()
    assert sorted(device.pool.freed) == addresses[2:]
    views.clear()
    gc.collect()
    assert sorted(device.pool.freed) == addresses and not device.pool.live


def test_arrays_that_numpy_derives_carry_no_address(board, device):
    raw = pynq.allocate(64, np.uint8, target=device)
    assert raw.copy().device_address != raw.device_address  # the trap: nobody's address, and no complaint
    buffer = board.allocate(64, np.uint8)
    assert type(buffer.array) is np.ndarray
    for derived in (buffer.array[8:], buffer.array.copy(), buffer.array + 1):
        assert not hasattr(derived, "device_address") and not hasattr(derived, "flush")


def test_what_the_logic_wrote_survives_a_flush_of_another_part(board, device):
    """From pynq 3.1 on a flush moves the whole buffer: whoever shares one between both sides loses data."""
    buffer = board.allocate(8192)
    device.pool.memory.write(buffer.device_address + 4096, np.full(4096, 7, np.uint8))
    buffer.flush(4096)
    buffer.invalidate()
    assert (buffer.array[4096:] == (0 if SYNCS_WHOLE_BUFFERS else 7)).all()
    mine, logics = board.allocate(4096), board.allocate(4096)  # so the drivers use one for each direction
    device.pool.memory.write(logics.device_address, np.full(4096, 7, np.uint8))
    mine.flush()
    logics.invalidate()
    assert (logics.array == 7).all()


# -- a printed register map --------------------------------------------------------------------

@pytest.mark.parametrize("conservative", [False, True])
def test_a_printed_register_map_eats_the_done_bit_and_nothing_else(board, circuit, fetched, conservative):
    net, values = lfc.network(circuit, seed=3), lfc.bits(20, 64)
    driver = BnnPynqDriver(board, circuit, conservative, capacity=64)
    driver.load(net)
    core = pynq.Overlay(str(bitstream(circuit)), device=board.device, download=False).ip_dict["BlackBoxJam_0"]
    printed = pynq.registers.RegisterMap.create_subclass("Core", core["registers"])(
        pynq.MMIO(circuit.ip.address, circuit.ip.range, device=board.device).array)
    driver.room(20)[:] = np.packbits(values, axis=1, bitorder="little")
    driver.start(20)
    time.sleep(2 * driver.expected_seconds(20))
    assert "AP_DONE=0" in repr(printed)
    begun = time.monotonic()
    try:
        words = driver.finish(0.3)
        assert np.array_equal(words, oracle.lfc_words(net.layers, values)) and not conservative
    except DeadlineError:
        assert conservative  # the published sequence trusts the done bit alone
        board.reset()
    assert time.monotonic() - begun < 2
    driver.close()


def test_dropping_caches_where_there_are_none_is_nothing(device):
    assert zynq_state.drop_caches(device) == []
