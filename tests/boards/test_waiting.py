"""Waiting by polling: what it costs in time and in work, counted on a virtual clock; and waiting in asyncio."""
from __future__ import annotations

import asyncio
import math
import threading

import lfc
import numpy as np
import oracle
import pytest

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.contracts.board import Board, Registers
from qnn_pynq.contracts.clock import RealClock, VirtualClock
from qnn_pynq.errors import DeadlineError
from qnn_pynq.families.bnn_pynq.driver import BnnPynqDriver

READ = 30e-6  # seconds that a read from Python takes on the board's processor, by the slowest figure there is
SLEEP = 30e-6  # of the processor, for each sleep
LATE = 60e-6  # that a sleep takes longer: the kernel's timer slack and the way back


class Slow(VirtualClock):
    """A clock on which sleeping is late, as Linux is."""

    def __init__(self):
        super().__init__()
        self.slept = 0.0

    def sleep(self, seconds):
        if seconds > 0:
            self.advance(seconds + LATE)
            self.slept += seconds + LATE - SLEEP


class Run(Board, Registers):
    """A board whose one register shows bit 1 from a moment on, at the price of a read."""

    def __init__(self, seconds, clock=None):
        super().__init__(clock or Slow())
        self.ends, self.reads = seconds, 0

    def read(self, offset):
        self.reads += 1
        self.clock.elapse(READ)
        return 2 if self.clock.now() >= self.ends else 1

    def ip(self, name):
        return self

    write = play = load = loaded = allocate = reset = None


def waited(seconds, slices=math.inf):
    """(board, seconds of the wait): as the drivers wait, in slices or at once."""
    board, left = Run(seconds), 10 * seconds
    while True:
        try:
            assert board.wait("ip", (0, 2), min(slices, left)) == 2
            return board, board.clock.now()
        except DeadlineError:
            left -= slices


@pytest.mark.parametrize("slices", [math.inf, 0.05])
def test_a_run_of_a_millisecond_is_noticed_within_five_percent(slices):
    for length in np.linspace(0.0009, 0.0011, 41):
        board, elapsed = waited(length, slices)
        assert length <= elapsed < 1.05 * length


@pytest.mark.parametrize("slices", [math.inf, 0.05])
def test_a_run_of_a_second_costs_less_than_five_percent_of_the_processor(slices):
    for length in (0.97, 1.0, 1.03):
        board, elapsed = waited(length, slices)
        assert elapsed - board.clock.slept < 0.05 * length
        assert elapsed < 1.05 * length and board.reads < 400


def test_longer_runs_cost_ever_less_and_are_noticed_within_a_twentieth_of_a_second():
    board, elapsed = waited(60.0)
    assert elapsed - board.clock.slept < 0.01 * 60 and elapsed < 60.06


def test_a_timeout_that_is_no_number_ends_at_once():
    with pytest.raises(DeadlineError):
        Run(math.inf).wait("ip", (0, 2), math.nan)


def test_two_waits_one_after_the_other_are_two():
    board = Run(math.inf)
    with pytest.raises(DeadlineError, match="0.5 s"):
        board.wait("ip", (0, 2), 0.5)
    board.clock.advance(0.01)
    board.ends, board.reads = board.clock.now() + 0.001, 0
    board.wait("ip", (0, 2), 0.5)
    assert board.reads > 20  # looked often again


def test_waiting_in_asyncio_does_not_block_the_loop():
    board = Run(math.inf, RealClock())
    ticks = []

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0.005)

    async def both():
        board.ends = board.clock.now() + 0.1
        ticking = asyncio.ensure_future(tick())
        value = await board.wait_async("ip", (0, 2), 5.0)
        ticking.cancel()
        return value

    assert asyncio.new_event_loop().run_until_complete(both()) == 2
    assert len(ticks) >= 5


def test_waiting_in_asyncio_meets_its_deadline():
    board = Run(math.inf)
    with pytest.raises(DeadlineError, match="the answer: no answer within 0.2 s"):
        asyncio.new_event_loop().run_until_complete(board.wait_async("ip", (0, 2), 0.2, "the answer"))
    assert 0.2 <= board.clock.now() < 0.22


@pytest.mark.parametrize("realtime", [False, True])
def test_a_driver_whose_run_was_awaited_finishes_at_once(realtime):
    circuit = lfc.overlay("w1a1")
    net, values = lfc.network(circuit, seed=7), lfc.bits(20, 832)
    with EmulatedBoard(realtime=realtime) as board:
        driver = BnnPynqDriver(board, circuit, capacity=64)
        driver.configure(net)
        driver.room(20)[:] = np.packbits(values, axis=1, bitorder="little")
        driver.start(20)
        asyncio.new_event_loop().run_until_complete(board.wait_async(circuit.ip.name, (0, 6), 5.0))
        words = driver.finish(0.0001)
        assert np.array_equal(words, oracle.lfc_words(net.layers, values))
        driver.close()


def test_a_wait_in_another_thread_is_a_wait_of_its_own():
    board, found = Run(0.01), []
    thread = threading.Thread(target=lambda: found.append(board.wait("ip", (0, 2), 1.0)))
    thread.start()
    thread.join()
    assert found == [2]
