"""ZynqBoard through the real pynq package; only the device under pynq is emulated."""
from __future__ import annotations

import gc
import math
import threading
import time

import lfc
import numpy as np
import oracle
import pytest

pytest.importorskip("pynq", reason="needs the real pynq package: tools/pynq_env.sh")

import pynq  # noqa: E402
from emulated_device import SYNCS_WHOLE_BUFFERS  # noqa: E402

from qnn_pynq.boards import open_board
from qnn_pynq.boards.zynq import board as zynq  # noqa: E402
from qnn_pynq.catalogue import cached_path  # noqa: E402
from qnn_pynq.contracts.program import make_program  # noqa: E402
from qnn_pynq.convert.bnn_pynq import import_bnn_pynq  # noqa: E402
from qnn_pynq.errors import (
    BoardBusyError,
    BoardError,
    BoardTakenError,
    BoardUnavailableError,
    BusError,
    ClosedError,
    DeadlineError,
    OverlayMissingError,
)
from qnn_pynq.families.bnn_pynq.driver import BnnPynqDriver  # noqa: E402

pytestmark = pytest.mark.pynq


def test_golden_words_through_pynqs_overlay_mmio_and_allocate(
        board, device, circuit, fetched, published, golden, shared_data):
    assert (board.kind, board.emulated, board.name) == ("zynq", False, "Pynq-Z1")
    driver = BnnPynqDriver(board, circuit, capacity=64)
    driver.load(published)
    assert device.downloads == 1 and board.loaded == circuit
    assert device.slcr[0x170] >> 8 & 0x3F and not driver.timing["modelled"]
    three = lfc.idx(golden / "bnn-pynq" / "images" / "3.image-idx3-ubyte")
    assert lfc.run_packed(driver, lfc.mnist_bits(three)).tolist() == [0x8]
    pictures = lfc.idx(shared_data / "mnist" / "t10k-images-idx3-ubyte.gz")[:200]
    words = (golden / "bnn-pynq" / "results" / "t10k_lfcW1A1_gold.bin").read_bytes()
    expected = np.frombuffer(words, "<u8")[:200]
    assert np.array_equal(lfc.run_packed(driver, lfc.mnist_bits(pictures)), expected)

    # New weights without a new configuration of the logic.
    net = lfc.network(circuit, seed=4)
    driver.load(net)
    values = lfc.bits(5, 832)
    assert device.downloads == 1
    assert np.array_equal(lfc.run(driver, values), oracle.lfc_words(net.layers, values))

    # A reset configures the logic again, and the driver knows that its weights are gone.
    board.reset()
    assert device.downloads == 2
    with pytest.raises(BoardError, match="configured again"):
        driver.start(1)
    driver.close()
    gc.collect()
    assert not device.pool.live


@pytest.mark.parametrize("circuit", [lfc.overlay("w1a2")], ids=["w1a2"])
def test_golden_words_of_w1a2(board, circuit, fetched, golden, shared_data):
    expected = np.fromfile(str(golden / "bnn-pynq" / "results" / "t10k_lfcW1A2_gold2k.bin"), "<u8")
    pictures = lfc.idx(shared_data / "mnist" / "t10k-images-idx3-ubyte.gz")[:len(expected)]
    driver = BnnPynqDriver(board, circuit, capacity=512)
    driver.load(import_bnn_pynq(golden / "bnn-pynq" / "params" / "mnist" / "lfcW1A2"))
    assert len(expected) == 2000 and np.array_equal(lfc.run_packed(driver, lfc.mnist_bits(pictures)), expected)
    driver.close()


def test_somebody_else_configuring_the_logic_is_noticed(board, device, circuit, fetched):
    board.configure(circuit)
    registers = board.ip("BlackBoxJam_0")
    assert registers.read(0) == 4
    other = pynq.Overlay(str(cached_path(circuit, circuit.files["bitstream"])), device=device)
    assert other.is_loaded()
    assert board.loaded is None
    with pytest.raises(BoardError, match="configured again"):
        registers.read(0)
    with pytest.raises(BoardError, match="no overlay"):
        board.ip("BlackBoxJam_0")
    board.configure(circuit)
    assert device.downloads == 3


def test_registers_check_offset_and_value_and_keep_deadlines(board, circuit, fetched):
    board.configure(circuit)
    registers = board.ip("BlackBoxJam_0")
    registers.write(0x5C, 0xFFFFFFFF)
    assert registers.read(0x5C) == 0xFFFFFFFF and not registers.mapped
    for offset in (2, -4, 0x10000, 4.0, "0", None):
        with pytest.raises(BusError):
            registers.read(offset)
    for value in (2**32, -1, 1.5, None):
        with pytest.raises(BoardError):
            registers.write(0x5C, value)
    with pytest.raises(DeadlineError):
        registers.run_program(make_program([(1, 0, 2)]), math.nan)
    with pytest.raises(DeadlineError, match="step 1 of 2"):
        registers.run_program(make_program([(0, 0x5C, 1), (1, 0, 2)]), 0.05)
    with pytest.raises(DeadlineError, match="0.05 s"):
        board.wait("BlackBoxJam_0", (0, 2), 0.05)


def test_a_mapped_window_is_played_by_the_c_loop(board, circuit, fetched, device, monkeypatch):
    memory = np.zeros(0x4000, np.uint32)
    board.configure(circuit)
    real = device.mmap
    monkeypatch.setattr(device, "mmap", lambda base, length: memory if base == circuit.ip.address
                        else real(base, length))
    registers = board.ip("BlackBoxJam_0")
    assert registers.mapped
    registers.run_program(make_program([(0, 0x5C, 7), (0, 0x10, 8), (1, 0x10, 8)]), 1.0)
    assert (memory[0x17], memory[4]) == (7, 8)
    with pytest.raises(DeadlineError, match=r"step 1 of 2.*0x0.*0x6"):
        registers.run_program(make_program([(0, 0x5C, 9), (1, 0, 6)]), 0.05)
    assert memory[0x17] == 9


def test_buffers_flush_invalidate_and_live_as_long_as_a_view(board, device):
    buffer = board.allocate((4, 8), np.uint8)
    assert type(buffer.array) is np.ndarray and buffer.device_address % 4096 == 0
    buffer.array[:] = 3
    logic = device.pool.memory.read(buffer.device_address, 32)
    assert not logic.any()
    buffer.flush(8)
    assert logic.tolist() == [3] * 8 + [3 if SYNCS_WHOLE_BUFFERS else 0] * 24
    buffer.flush()
    logic[:] = 5
    assert (buffer.array == 3).all()
    buffer.invalidate()
    view = buffer.array
    assert (view == 5).all()
    buffer.close()
    gc.collect()
    view[:] = 1  # still memory
    with pytest.raises(ClosedError):
        buffer.flush()
    del view
    gc.collect()
    assert not device.pool.live


def test_too_little_memory_the_wrong_board_and_missing_files_are_said(device, circuit, golden):
    device.name = "Pynq-ZU"
    with open_board("zynq", device=device) as board:
        with pytest.raises(BoardUnavailableError, match="Pynq-Z1, Pynq-Z2, this is a Pynq-ZU"):
            board.configure(circuit)
        with pytest.raises(BoardError, match="contiguous memory"):
            board.allocate(17 << 20)
        with pytest.raises(BoardError, match="contiguous memory"):
            board.allocate((1 << 40, 1 << 40))
    device.name = "Pynq-Z2"
    with open_board("zynq", device=device) as board, pytest.raises(OverlayMissingError):
        board.configure(circuit)


def test_what_pynq_cannot_load_says_pynqs_version_and_reason(board, circuit, fetched, device, monkeypatch):
    def fails(*_, **__):
        raise TypeError("no frequency")

    monkeypatch.setattr(device, "get_bitfile_metadata", fails)
    with pytest.raises(BoardError, match=f"pynq {pynq.__version__} cannot load .*TypeError: no frequency"):
        board.configure(circuit)
    assert board.loaded is None


def test_one_board_object_at_a_time(board, device):
    with pytest.raises(BoardBusyError, match="this process"):
        open_board("zynq", device=device)
    board.close()
    open_board("zynq", device=device).close()
    for use in (lambda: board.allocate(1), lambda: board.ip("x"), board.reset):
        with pytest.raises(ClosedError):
            use()


def test_classifiers_of_one_process_share_the_fpga_and_take_turns(device, circuit, fetched):
    from qnn_pynq import Classifier

    mine, other = "lfc-w1a1-mnist", "lfc-w1a1-fashion-mnist"
    picture = np.arange(784, dtype=np.uint8)
    first = Classifier(mine, "zynq", circuit)
    second = Classifier(other, "zynq", circuit)  # as when a notebook's cell is run again
    assert first.board is second.board
    second.predict(picture)
    with pytest.raises(BoardTakenError, match="load"):
        first.predict(picture)
    first.load(mine)
    first.predict(picture)
    second.close()
    second.close()
    assert not first.board.closed
    first.close()
    assert first.board.closed
    open_board("zynq").close()


def test_threads_that_open_the_fpga_at_once_share_it(device, monkeypatch):
    real = zynq.activate
    monkeypatch.setattr(zynq, "activate", lambda device: (time.sleep(0.05), real(device)))  # the others come meanwhile
    boards, start = [], threading.Barrier(6)

    def use():
        start.wait()
        boards.append(open_board("zynq"))

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(boards) == 6 and all(board is boards[0] for board in boards)
    for board in boards:
        assert not board.closed
        board.close()
    assert boards[0].closed
    open_board("zynq").close()
