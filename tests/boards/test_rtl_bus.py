"""The simulated board's bus: stalls, late and failed answers, addresses outside, and circuits that break its rules."""
from __future__ import annotations

from typing import Any, Iterator

import numpy as np
import pytest
from simulated import (
    DONE,
    FROM,
    NAME,
    READ_FAILED,
    START,
    STATUS,
    TO,
    WORDS,
    WRITE_FAILED,
    copied,
    copier,
    need_tools,
    some_words,
    start_copy,
)

from qnn_pynq.boards import open_board
from qnn_pynq.errors import BoardError, BusError


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    need_tools()


@pytest.fixture
def board() -> Iterator[Any]:
    with open_board("rtl") as opened:
        opened.configure(copier())
        yield opened


def cycles_of(stalls: Any, count: int = 320) -> int:
    with open_board("rtl", stalls=stalls) as board:
        board.configure(copier())
        _, target = start_copy(board, some_words(count))
        before = board.cycles
        assert board.run(1_000_000, until_irq=True)
        taken = board.cycles - before
        target.invalidate()
        assert np.array_equal(target.array, some_words(count))
        return taken


def test_a_steady_memory_takes_the_time_that_its_latency_says() -> None:
    """Per 32 words: the first address is taken in a cycle, latency, 32 words; the same for writing; both plus steps."""
    fast, slow = cycles_of({"latency": 2}), cycles_of({"latency": 102})
    assert slow - fast == 10 * 2 * 100  # ten pieces, each waits once for its words and once for its answers
    assert 10 * 2 * 32 < fast < 10 * 2 * (32 + 2 + 6)


@pytest.mark.parametrize("field", [{"jitter": 50}, {"gap": 0.5}, {"busy": 0.5}, {"outstanding": 1}])
def test_each_kind_of_stall_costs_cycles_and_no_bits(field: dict[str, Any]) -> None:
    assert cycles_of(field) > cycles_of("steady")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("stalls", ["rough", "hostile"])
def test_words_are_right_under_random_stalls(stalls: str, seed: int) -> None:
    with open_board("rtl", stalls=stalls, seed=seed) as board:
        board.configure(copier())
        for count in (5, 64):
            assert np.array_equal(copied(board, some_words(count, seed)), some_words(count, seed))


@pytest.mark.parametrize("direction", ["read", "write"])
def test_a_late_answer_is_waited_for(board: Any, direction: str) -> None:
    words = some_words(16)
    before = board.cycles
    copied(board, words)
    usual = board.cycles - before
    board.tell(direction, late=3000)
    before = board.cycles
    assert np.array_equal(copied(board, words), words)
    assert 3000 <= board.cycles - before - usual < 3200  # late by a look at most


def test_the_burst_that_is_told_fails_and_no_other(board: Any) -> None:
    words = some_words(96)
    for direction, bit, at in (("read", READ_FAILED, 3), ("write", WRITE_FAILED, 4)):
        for error in ("SLVERR", "DECERR"):
            board.tell(direction, error, after=at)
            _, target = start_copy(board, words)
            assert board.wait(NAME, (STATUS, DONE), 1e-3) and board.ip(NAME).read(STATUS) == DONE | bit
            target.invalidate()
            right = np.arange(96) // 16 != at
            assert np.array_equal(target.array == words, right)
    board.ip(NAME).write(START, 1)
    board.wait(NAME, (STATUS, DONE), 1e-3)
    assert board.ip(NAME).read(STATUS) == DONE
    assert board.traffic.failed_reads == board.traffic.failed_writes == 2


def test_a_read_outside_every_buffer_is_answered_with_an_error(board: Any) -> None:
    source, target = start_copy(board, some_words(16))
    board.wait(NAME, (STATUS, DONE), 1e-3)
    for address in (0, source.device_address + 8, target.device_address + 128, 0xFFFFF000):
        board.ip(NAME).write(FROM, address)
        board.ip(NAME).write(START, 1)
        board.wait(NAME, (STATUS, DONE), 1e-3)
        assert board.ip(NAME).read(STATUS) == DONE | READ_FAILED


def test_a_write_outside_every_buffer_is_said_once_and_reaches_nothing(board: Any) -> None:
    source, target = start_copy(board, some_words(16))
    board.wait(NAME, (STATUS, DONE), 1e-3)
    target.invalidate()
    board.ip(NAME).write(TO, target.device_address + 64)
    board.ip(NAME).write(START, 1)
    place = f"{target.device_address + 64:#x}"
    with pytest.raises(BusError, match=f"the logic wrote to {place}.*outside every live buffer"):
        board.wait(NAME, (STATUS, DONE), 1e-3)
    board.run(200)
    assert board.ip(NAME).read(STATUS) == DONE | WRITE_FAILED
    target.invalidate()
    assert np.array_equal(target.array, some_words(16))


def test_a_buffer_that_is_closed_during_a_run_is_no_longer_there(board: Any) -> None:
    source, target = start_copy(board, some_words(2000))
    board.run(500)
    source.close()
    assert board.wait(NAME, (STATUS, DONE), 1e-3)
    assert board.ip(NAME).read(STATUS) == DONE | READ_FAILED
    target.close()
    board.ip(NAME).write(WORDS, 1)
    with pytest.raises(BusError, match="outside every live buffer"):
        board.ip(NAME).write(START, 1)
        board.wait(NAME, (STATUS, DONE), 1e-3)


MISTAKES = [
    (1, "m_arvalid fell before m_arready"),
    (2, "the payload of m_arvalid changed before m_arready"),
    (3, "m_wlast is 1 at beat 3 of a burst of 16"),
    (4, "crosses a 4 KB border"),
    (5, "is no multiple of 8"),
    (7, "the payload of m_wvalid changed before m_wready"),
    (8, r"the Verilog stopped at engine\.v:\d+"),
]


@pytest.mark.parametrize("mistake, match", MISTAKES)
def test_a_broken_rule_of_the_bus_ends_the_simulation_with_its_name(mistake: int, match: str) -> None:
    with open_board("rtl", stalls={"busy": 0.5}) as board:
        board.configure(copier())
        with pytest.raises(BoardError, match=f"broke a rule of the bus: .*{match}.*cycle"):
            start_copy(board, some_words(64), mistake)
            board.wait(NAME, (STATUS, DONE), 1e-3)
        with pytest.raises(BoardError, match=match):
            board.ip(NAME).read(STATUS)
        board.reset()
        assert np.array_equal(copied(board, some_words(64)), some_words(64))


def test_an_answer_with_another_id_is_a_broken_rule(board: Any) -> None:
    with pytest.raises(BoardError, match="a write with id 0x.* was answered with id 0x"):
        start_copy(board, some_words(1), 6)
