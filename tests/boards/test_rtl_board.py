"""The board contract on the simulated board: memory, registers, clock, waiting, closing, opening."""
from __future__ import annotations

import dataclasses
import threading
import time
from typing import Any, Iterator

import lfc
import numpy as np
import pytest
from simulated import (
    BUSY,
    DONE,
    ENABLE,
    FROM,
    MAGIC,
    NAME,
    SCRATCH,
    SILENT,
    SIZES,
    START,
    STATUS,
    copied,
    copier,
    need_tools,
    some_words,
    start_copy,
)

from qnn_pynq.boards import open_board
from qnn_pynq.boards.rtl.board import RtlBoard
from qnn_pynq.contracts.overlay import Ip
from qnn_pynq.contracts.program import WAIT, WRITE, make_program
from qnn_pynq.errors import (
    BoardBusyError,
    BoardError,
    BoardTakenError,
    BusError,
    ClosedError,
    DeadlineError,
    InputError,
)


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    need_tools()


@pytest.fixture
def board() -> Iterator[Any]:
    with open_board("rtl", seed=3) as opened:
        opened.configure(copier())
        yield opened


def test_it_says_what_it_is(board: Any) -> None:
    assert isinstance(board, RtlBoard) and board.kind == "rtl" and board.emulated and board.loaded == copier()
    assert open_board(board) is board


def test_registers_answer_as_the_verilog_says(board: Any) -> None:
    registers = board.ip(NAME)
    assert registers.read(MAGIC) == 0x434F5059
    for value in (0xFFFFFFFF, 0, 0x12345678):
        registers.write(SCRATCH, value)
        assert registers.read(SCRATCH) == value
    assert registers.read(FROM) == 0  # its neighbour is untouched


@pytest.mark.slow
def test_the_parameters_reach_the_circuit(board: Any) -> None:
    board.configure(copier(P=32, V=6))
    assert board.ip(NAME).read(SIZES) == 0x0620


@pytest.mark.parametrize("count", [1, 15, 16, 17, 32, 33, 100])
def test_words_go_through_the_circuit(board: Any, count: int) -> None:
    words = some_words(count)
    assert np.array_equal(copied(board, words), words)
    traffic = board.traffic
    assert (traffic.read_words, traffic.written_words) == (count, count)
    assert traffic.read_bursts == traffic.write_bursts == -(-count // 16)
    assert traffic.reading == traffic.writing == traffic.failed_reads == traffic.failed_writes == 0


def test_without_a_flush_the_circuit_sees_what_was_there_before(board: Any) -> None:
    source, target = start_copy(board, some_words(4))
    board.wait(NAME, (STATUS, DONE), 1e-3)
    source.array[:] = 7
    board.ip(NAME).write(START, 1)
    board.wait(NAME, (STATUS, DONE), 1e-3)
    assert not target.array.any()  # nor does the processor what it has not invalidated
    target.invalidate()
    assert np.array_equal(target.array, some_words(4))


def test_buffers_are_bounded_apart_and_come_back() -> None:
    with open_board("rtl", memory_limit=3 * 4096) as board:
        held = [board.allocate(4096) for _ in range(3)]
        assert len({buffer.device_address for buffer in held}) == 3
        with pytest.raises(BoardError, match="1 bytes asked for, 12288 of 12288 in use"):
            board.allocate(1)
        held[1].close()
        board.allocate(4096)


def test_the_clock_counts_the_circuits_cycles(board: Any) -> None:
    board.configure(copier(clock_mhz=50.0))
    before, cycles = board.clock.now(), board.cycles
    board.run(1000)
    assert board.cycles == cycles + 1000
    assert board.clock.now() - before == pytest.approx(1000 / 50e6)
    board.clock.sleep(1e-5)
    assert 1500 <= board.cycles - cycles <= 1501
    assert board.accelerator_seconds == board.clock.now()


def test_time_never_runs_backwards(board: Any) -> None:
    moments = [board.clock.now()]
    for step in (lambda: board.run(10), board.reset, lambda: board.configure(copier(clock_mhz=10.0)), board.forget,
                 lambda: board.clock.sleep(1.0), lambda: board.configure(copier())):
        step()
        moments.append(board.clock.now())
    assert moments == sorted(moments) and moments[-2] - moments[-3] == 1.0


@pytest.mark.parametrize("interrupt", ["copier_0/irq", None])
def test_wait_ends_soon_after_the_circuit_is_done(board: Any, interrupt: str | None) -> None:
    board.configure(copier(interrupt=interrupt))
    assert (board.interrupt_line(NAME) is None) == (interrupt is None)
    buffers = start_copy(board, some_words(4000))
    before = board.cycles
    assert board.wait(NAME, (STATUS, DONE), 1.0) == DONE
    waited = board.cycles - before
    board.ip(NAME).write(START, 1)
    before = board.cycles
    assert board.run(1_000_000, until_irq=True)
    assert waited <= 1.05 * (board.cycles - before) + 100 and not any(buffer.closed for buffer in buffers)


def test_a_callable_and_the_deadline(board: Any) -> None:
    assert board.wait(NAME, lambda registers: registers.read(MAGIC) == 0x434F5059, 0.0) == 1
    before = board.clock.now()
    with pytest.raises(DeadlineError, match="the copy: no answer within 0.001 s"):
        board.wait(NAME, (STATUS, DONE), 1e-3, "the copy")
    assert board.clock.now() - before == pytest.approx(1e-3, rel=0.02)


def test_an_interrupt_that_is_not_enabled_costs_looks_and_nothing_else(board: Any) -> None:
    _, target = start_copy(board, some_words(40))
    board.ip(NAME).write(ENABLE, 0)
    assert board.wait(NAME, (STATUS, DONE), 1e-2) == DONE and not board.interrupt
    target.invalidate()
    assert np.array_equal(target.array, some_words(40))


def test_a_wait_can_be_cancelled(board: Any) -> None:
    stop = threading.Event()
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    start = time.monotonic()
    with pytest.raises(ClosedError, match="closed while it was waited for"):
        board.wait(NAME, (STATUS, DONE), 1e6, cancelled=stop.is_set)
    timer.join()
    assert time.monotonic() - start < 10


def test_a_program_of_writes_and_waits(board: Any) -> None:
    source, target = start_copy(board, some_words(20))
    board.ip(NAME).run_program(make_program([(WAIT, STATUS, DONE), (WRITE, START, 1), (WAIT, STATUS, BUSY | DONE),
                                             (WAIT, STATUS, DONE), (WRITE, SCRATCH, 9)]), 1e-3)
    assert board.ip(NAME).read(SCRATCH) == 9 and board.traffic.written_words == 40
    with pytest.raises(DeadlineError, match="step 0 of 1"):
        board.ip(NAME).run_program(make_program([(WAIT, STATUS, BUSY)]), 1e-4)


def test_reset_makes_a_fresh_circuit(board: Any) -> None:
    registers = board.ip(NAME)
    registers.write(SCRATCH, 5)
    buffers = start_copy(board, some_words(4000))
    assert board.ip(NAME).read(STATUS) == BUSY
    generation = board.generation
    board.reset()
    assert board.generation == generation + 1
    with pytest.raises(BusError, match="configured again"):
        registers.read(SCRATCH)
    assert board.ip(NAME).read(SCRATCH) == 0 and board.ip(NAME).read(STATUS) == 0
    board.run(1000)
    assert board.traffic.read_bursts == 0
    buffers[1].invalidate()
    assert not buffers[1].array[-1]


def test_buffers_in_quarantine_come_back_with_a_reset(board: Any) -> None:
    used = board.memory.used
    board.quarantine(start_copy(board, some_words(4000)), "a test")
    assert board.quarantined and board.memory.used > used
    board.configure(copier())
    assert not board.quarantined and board.memory.used == used and board.ip(NAME).read(STATUS) == 0


def test_the_same_seed_gives_the_same_cycles_and_another_one_others() -> None:
    cycles = []
    for seed in (1, 1, 2):
        with open_board("rtl", seed=seed, stalls="rough") as board:
            board.configure(copier())
            copied(board, some_words(200))
            cycles.append(board.cycles)
    assert cycles[0] == cycles[1] != cycles[2]


def test_two_boards_do_not_disturb_each_other(board: Any) -> None:
    with open_board("rtl", stalls="rough") as other:
        other.configure(copier())
        first, second = start_copy(board, some_words(300, 1)), start_copy(other, some_words(300, 2))
        for _ in range(20):
            board.run(37)
            other.run(91)
        for one, pair, seed in ((board, first, 1), (other, second, 2)):
            one.wait(NAME, (STATUS, DONE), 1e-3)
            pair[1].invalidate()
            assert np.array_equal(pair[1].array, some_words(300, seed))


def test_threads_take_turns(board: Any) -> None:
    def work(seed: int) -> None:
        registers = board.ip(NAME)
        for value in range(seed, seed + 200):
            with board.lock:
                registers.write(SCRATCH, value)
                right.append(registers.read(SCRATCH) == value)
            registers.read(MAGIC)

    right: list[bool] = []
    threads = [threading.Thread(target=work, args=(1000 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(right) == 800 and all(right)


def test_use_after_close_is_said() -> None:
    board = open_board("rtl")
    board.configure(copier())
    registers, buffer, line = board.ip(NAME), board.allocate(8), board.interrupt_line(NAME)
    board.close()
    board.close()
    for use in (lambda: registers.read(0), lambda: registers.write(4, 0), board.reset, lambda: board.ip(NAME),
                lambda: board.allocate(1), buffer.flush, lambda: board.configure(copier()), lambda: board.run(1),
                lambda: board.cycles, lambda: board.traffic, lambda: board.tell("read"), lambda: line.wait(1.0)):
        with pytest.raises(ClosedError, match="closed"):
            use()
    buffer.close()


def test_one_owner_at_a_time(board: Any) -> None:
    board.claim("a")
    board.in_flight = "a"
    with pytest.raises(BoardBusyError, match="in flight"):
        board.claim("b")
    board.release("a")
    board.claim("b")
    with pytest.raises(BoardTakenError, match="another classifier"):
        board.require("a")


@pytest.mark.parametrize("offset", [1, -4, 0x10000])
def test_misaligned_and_outside_offsets_are_bus_errors(board: Any, offset: int) -> None:
    with pytest.raises(BusError, match="multiple of 4"):
        board.ip(NAME).read(offset)
    with pytest.raises(BusError, match="multiple of 4"):
        board.ip(NAME).write(offset, 0)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_a_value_beyond_32_bits_is_refused(board: Any, value: int) -> None:
    with pytest.raises(BoardError, match=str(value)):
        board.ip(NAME).write(SCRATCH, value)


def test_an_error_answer_of_a_register_is_a_bus_error(board: Any) -> None:
    with pytest.raises(BusError, match="0x43c00028: the circuit answered with an error"):
        board.ip(NAME).write(SILENT, 0)
    assert board.ip(NAME).read(MAGIC) == 0x434F5059


def test_a_register_that_never_answers_ends_in_an_error(board: Any) -> None:
    with pytest.raises(BoardError, match="no answer to a read of register 0x43c00028"):
        board.ip(NAME).read(SILENT)
    with pytest.raises(BoardError, match="until the board is reset"):
        board.ip(NAME).read(MAGIC)
    board.reset()
    assert board.ip(NAME).read(MAGIC) == 0x434F5059


def test_an_overlay_without_verilog_is_refused_and_the_logic_stays(board: Any) -> None:
    with pytest.raises(BoardError, match="has no Verilog.*open_board\\('emulated'\\)"):
        board.configure(lfc.overlay("w1a1"))
    assert board.loaded == copier() and board.ip(NAME).read(MAGIC) == 0x434F5059


def test_an_overlay_of_several_windows_is_refused(board: Any) -> None:
    second = Ip("dma_0", "x", 0x40400000, 0x1000)
    several = dataclasses.replace(copier(), ips=(copier().ip, second))
    with pytest.raises(BoardError, match="2 register windows"):
        board.configure(several)


def test_without_a_circuit_there_is_nothing_to_run() -> None:
    with open_board("rtl") as board:
        for use in (lambda: board.run(1), lambda: board.cycles, lambda: board.tell("read"), lambda: board.ip(NAME)):
            with pytest.raises(BoardError, match="overlay"):
                use()
        board.reset()


@pytest.mark.parametrize("options, match", [
    ({"seed": 1.5}, "seed 1.5: expected a whole number"),
    ({"seed": True}, "seed True"),
    ({"stalls": "wild"}, "stalls 'wild': expected 'steady', 'rough', 'hostile', or a mapping of latency"),
    ({"stalls": {"speed": 1}}, "no field speed: expected some of latency"),
    ({"stalls": {"gap": 1.0}}, "gap 1.0: expected a chance of 0 to 0.99"),
    ({"stalls": {"busy": float("nan")}}, "busy nan"),
    ({"stalls": {"latency": -1}}, "latency -1: expected a whole number of 0 to"),
    ({"stalls": {"outstanding": 0}}, "outstanding 0: expected a whole number of 1 to 64"),
    ({"stalls": 3}, "stalls 3"),
    ({"memory_limit": 0}, "memory_limit 0"),
])
def test_bad_options_are_refused_at_once(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        open_board("rtl", **options)


@pytest.mark.parametrize("arguments, match", [
    (("sideways",), "direction 'sideways'"), (("read", "NACK"), "error 'NACK'"), (("read", None, -1), "late -1"),
    (("write", "SLVERR", 0, 1.5), "after 1.5"),
])
def test_what_the_memory_cannot_be_told_is_refused(board: Any, arguments: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        board.tell(*arguments)
