"""The board contract on the emulated board: memory, ownership, clock, closing, opening."""
from __future__ import annotations

import gc
import logging
import sys
import time

import lfc
import numpy as np
import pytest

from qnn_pynq.boards import open_board
from qnn_pynq.boards.emulated import EmulatedBoard, EmulatedMemory
from qnn_pynq.boards.zynq import device as zynq_device
from qnn_pynq.contracts.chip import PAGE
from qnn_pynq.contracts.clock import RealClock, VirtualClock
from qnn_pynq.errors import (
    BoardBusyError,
    BoardError,
    BoardTakenError,
    BusError,
    ClosedError,
    DeadlineError,
    InputError,
)


@pytest.fixture
def board():
    with EmulatedBoard() as opened:
        yield opened


def _blocks(board):
    return board.memory.used // 4096


def test_buffers_are_zeroed_page_aligned_and_apart(board):
    buffers = [board.allocate((3, 5), np.uint16) for _ in range(4)] + [board.allocate(5000)]
    ends = 0
    for buffer in sorted(buffers, key=lambda each: each.device_address):
        assert buffer.device_address % 4096 == 0 and buffer.device_address >= ends
        ends = buffer.device_address + buffer.nbytes
        assert type(buffer.array) is np.ndarray and not buffer.array.any()
    assert buffers[0].array.shape == (3, 5) and buffers[0].nbytes == 30 and _blocks(board) == 6


def test_flush_and_invalidate_copy_between_the_two_views(board):
    buffer = board.allocate(8)
    buffer.array[:] = 1
    assert not board.memory.read(buffer.device_address, 8).any()
    buffer.flush(4)
    assert board.memory.read(buffer.device_address, 8).tolist() == [1] * 4 + [0] * 4
    buffer.flush()
    board.memory.write(buffer.device_address, np.arange(8, dtype=np.uint8))
    assert buffer.array.tolist() == [1] * 8
    buffer.invalidate(2)
    assert buffer.array.tolist() == [0, 1] + [1] * 6
    buffer.invalidate()
    assert buffer.array.tolist() == list(range(8))


def test_memory_is_bounded_and_comes_back():
    board = EmulatedBoard(memory_limit=3 * 4096)
    held = [board.allocate(4096) for _ in range(3)]
    with pytest.raises(BoardError, match="1 bytes asked for, 12288 of 12288 in use"):
        board.allocate(1)
    held[1].close()
    held[1].close()
    with pytest.raises(BoardError):
        board.allocate(4097)
    again = board.allocate(4096)
    assert held[0].device_address < again.device_address < held[2].device_address
    del held, again
    gc.collect()
    assert board.memory.used == 0


@pytest.mark.parametrize("limit", ["a", None, 0, -1, 1.5, float("nan")])
def test_a_memory_of_no_size_is_refused_at_once(limit):
    with pytest.raises(InputError, match="memory_limit .*: expected a whole number"):
        EmulatedBoard(memory_limit=limit)
    assert EmulatedBoard(memory_limit=np.int64(8192)).memory.limit == 8192


def test_the_logic_sees_live_buffers_only(board):
    first, second = board.allocate(4096), board.allocate(100)
    for address, nbytes in ((0, 1), (first.device_address - 1, 1), (first.device_address, 4097),
                            (second.device_address + 99, 2), (2**40, 1)):
        with pytest.raises(BusError, match="outside every live buffer"):
            board.memory.read(address, nbytes)
    second.close()
    with pytest.raises(BusError):
        board.memory.write(second.device_address, np.zeros(1, np.uint8))


@pytest.mark.parametrize("shape, dtype", [
    (-1, np.uint8), ((2, -3), np.uint8), (3, object), (3.5, np.uint8), ((2, "x"), np.uint8), (None, np.uint8),
    (3, "no dtype"), (3, "V0"),
])
def test_a_buffer_of_no_size_or_of_objects_is_refused(board, shape, dtype):
    with pytest.raises(BoardError, match="expected sizes"):
        board.allocate(shape, dtype)


def test_use_after_close_is_said(board):
    buffer = board.allocate(8)
    buffer.close()
    for use in (lambda: buffer.array, buffer.flush, buffer.invalidate):
        with pytest.raises(ClosedError, match="closed"):
            use()
    alive = board.allocate(8)
    board.configure(lfc.tiny())
    registers = board.ip("BlackBoxJam_0")
    board.close()
    board.close()
    for use in (alive.flush, lambda: alive.array, lambda: registers.read(0), lambda: board.allocate(1),
                lambda: board.ip("BlackBoxJam_0"), lambda: board.configure(lfc.tiny()), board.reset,
                lambda: board.claim("me"), lambda: open_board(board)):
        with pytest.raises(ClosedError, match="closed"):
            use()
    alive.close()


def test_loading_the_same_overlay_again_changes_nothing(board):
    board.configure(lfc.tiny())
    twin, generation = board.twin, board.generation
    board.configure(lfc.tiny())
    assert board.twin is twin and board.generation == generation and board.loaded == lfc.tiny()
    board.configure(lfc.overlay("w1a1"))
    assert board.twin is not twin and board.generation == generation + 1


def test_registers_of_an_earlier_configuration_are_refused(board):
    board.configure(lfc.tiny())
    registers = board.ip("BlackBoxJam_0")
    board.reset()
    with pytest.raises(BusError, match="configured again"):
        registers.read(0)


def test_an_unknown_ip_is_named_with_what_there_is(board):
    with pytest.raises(BoardError, match="no overlay"):
        board.ip("BlackBoxJam_0")
    board.configure(lfc.tiny())
    with pytest.raises(BoardError, match="'dma'.*BlackBoxJam_0"):
        board.ip("dma")


@pytest.mark.parametrize("offset", [1, 2, -4, 0x10000, 0xFFFE])
def test_misaligned_and_outside_offsets_are_bus_errors(board, offset):
    board.configure(lfc.tiny())
    registers = board.ip("BlackBoxJam_0")
    with pytest.raises(BusError, match="multiple of 4"):
        registers.read(offset)
    with pytest.raises(BusError, match="multiple of 4"):
        registers.write(offset, 0)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_a_value_beyond_32_bits_is_refused(board, value):
    board.configure(lfc.tiny())
    with pytest.raises(BoardError, match=str(value)):
        board.ip("BlackBoxJam_0").write(0x5C, value)


def test_one_owner_at_a_time(board):
    board.claim("a")
    board.require("a")
    board.claim("b")
    with pytest.raises(BoardTakenError, match="another classifier"):
        board.require("a")
    board.release("a")
    board.require("b")
    board.release("b")
    assert board.owner is None


def test_nobody_takes_the_board_from_a_run_in_flight(board):
    board.claim("a")
    board.in_flight = "a"
    with pytest.raises(BoardBusyError, match="in flight"):
        board.claim("b")
    board.claim("a")
    board.reset()
    board.configure(lfc.tiny())
    board.claim("b")


def test_wait_takes_a_mask_or_a_callable_and_keeps_the_deadline(board):
    board.configure(lfc.tiny())
    assert board.wait("BlackBoxJam_0", (0, 4), 0.0) == 4
    assert board.wait("BlackBoxJam_0", lambda registers: registers.read(0) == 4, 0.0) == 1
    before = board.clock.now()
    with pytest.raises(DeadlineError, match="the canary: no answer within 0.25 s"):
        board.wait("BlackBoxJam_0", (0, 2), 0.25, "the canary")
    assert board.clock.now() - before == pytest.approx(0.25, rel=1e-3)


def test_a_virtual_clock_moves_only_when_told():
    clock = VirtualClock()
    clock.sleep(2.0)
    clock.advance(-5.0)
    clock.sleep_until(1.0)
    clock.elapse(0.5)
    assert clock.now() == 2.5


def test_realtime_takes_as_long_as_the_model_says():
    board = EmulatedBoard(realtime=True)
    assert isinstance(board.clock, RealClock)
    board.configure(lfc.tiny(timing=dict(lfc.tiny().timing, memory_write_cycles=3_000_000)))
    registers = board.ip("BlackBoxJam_0")
    registers.write(0x28, 1)
    start = time.monotonic()
    registers.write(0, 1)
    board.wait("BlackBoxJam_0", (0, 2), 5.0)
    assert time.monotonic() - start >= 0.03


def test_open_board_says_which_and_emulates_only_without_an_fpga(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "qnn_pynq")
    monkeypatch.setattr(zynq_device, "fpga_present", lambda: False)
    for name in (None, "auto", "emulated"):
        with open_board(name) as board:
            assert board.kind == "emulated" and board.emulated
            assert open_board(board) is board
    assert "no FPGA on this machine: using the emulated board" in caplog.text
    with pytest.raises(ValueError, match="'cloud'.*'zynq'"):
        open_board("cloud")
    with open_board("emulated", memory_limit=4096) as small, pytest.raises(ValueError, match="memory_limit"):
        assert small.memory.limit == 4096
        open_board(small, memory_limit=1)


@pytest.mark.parametrize("line", range(20))
def test_an_interrupt_between_any_two_lines_leaves_no_buffer_with_anothers_memory(line):
    memory, left = EmulatedMemory(1 << 20), [line]

    def lines(frame, event, _):
        if event == "line":
            left[0] -= 1
            if left[0] == -1:
                raise KeyboardInterrupt
        return lines

    held = {key: memory.allocate(PAGE, key) for key in "abc"}
    former = sys.gettrace()
    sys.settrace(lambda frame, *_: lines if frame.f_code.co_name in ("allocate", "drop", "free") else None)
    try:
        del held["a"]
        memory.drop("a")
        held["d"] = memory.allocate(PAGE, "d")
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(former)
    held.update((key, memory.allocate(PAGE, key)) for key in "efg")
    for address, block in held.values():
        assert np.shares_memory(memory.read(address, PAGE), block)
    for key in "abcdefg":
        memory.drop(key)
    assert memory.used == 0


def test_an_interrupt_while_a_buffer_is_made_leaves_nothing(board):
    at, injected = 0, True
    while injected:
        left, injected, buffer = at, False, None

        def lines(frame, event, _):
            nonlocal left, injected
            left -= event == "line"
            if left < 0 and not injected:
                injected = True
                raise KeyboardInterrupt
            return lines

        former = sys.gettrace()
        ours = "emulated.py", "memory.py"
        sys.settrace(lambda frame, *_: lines if frame.f_code.co_filename.endswith(ours) else None)  # noqa: B023
        try:
            buffer = board.allocate(10)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(former)
        del buffer
        gc.collect()
        assert board.memory.used == 0, at
        at += 1
    assert at > 10
