"""Waiting by polling: what it costs in time and in work, counted on a virtual clock; and waits that are cancelled."""
from __future__ import annotations

import math
import threading
import time

import lfc
import numpy as np
import pytest
import small

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.contracts.board import Board, Registers
from qnn_pynq.contracts.clock import VirtualClock
from qnn_pynq.errors import ClosedError, DeadlineError
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

    write = run_program = configure = loaded = allocate = reset = None


def waited(seconds, cancelled=None):
    """(board, seconds of the wait)."""
    board = Run(seconds)
    assert board.wait("ip", (0, 2), 10 * seconds, cancelled=cancelled) == 2
    return board, board.clock.now()


@pytest.mark.parametrize("cancelled", [None, lambda: False])
def test_a_run_of_a_millisecond_is_noticed_within_five_percent(cancelled):
    for length in np.linspace(0.0009, 0.0011, 41):
        board, elapsed = waited(length, cancelled)
        assert length <= elapsed < 1.05 * length


@pytest.mark.parametrize("cancelled", [None, lambda: False])
def test_a_run_of_a_second_costs_less_than_five_percent_of_the_processor(cancelled):
    for length in (0.97, 1.0, 1.03):
        board, elapsed = waited(length, cancelled)
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


class Pin:
    """An interrupt that never fires, and says how long it was waited for."""

    def __init__(self, clock):
        self.clock, self.waits = clock, []

    def wait(self, seconds):
        self.waits.append(seconds)
        self.clock.advance(seconds)
        return False


@pytest.mark.parametrize("wired", [False, True], ids=["polled", "by interrupt"])
@pytest.mark.parametrize("at", [0.0, 0.0005, 0.3, 7.0])
def test_a_wait_that_is_cancelled_ends_within_a_twentieth_of_a_second(at, wired):
    board, looks = Run(math.inf), []
    pin = Pin(board.clock)
    board.interrupt_line = lambda ip: pin if wired else None

    def cancelled():
        looks.append(board.clock.now())
        return looks[-1] >= at

    with pytest.raises(ClosedError, match="the answer: closed while it was waited for"):
        board.wait("ip", (0, 2), 60.0, "the answer", cancelled)
    assert at <= board.clock.now() < at + 0.0502
    assert max(np.diff([0.0, *looks])) < 0.0502 and bool(pin.waits) == (wired and at > 0)


def test_a_wait_that_was_cancelled_before_touches_no_register():
    board = Run(0.0)
    with pytest.raises(ClosedError):
        board.wait("ip", (0, 2), 1.0, cancelled=lambda: True)
    assert board.reads == 0


@pytest.mark.parametrize("seconds", [0.02, 0.3])
def test_on_a_clock_that_is_real_an_emulated_run_is_noticed_when_it_ends_and_can_be_cancelled(seconds):
    circuit = lfc.tiny()
    with EmulatedBoard(realtime=True) as board:
        driver = BnnPynqDriver(board, circuit, capacity=64)
        driver.load(small.network(circuit, seed=7))
        lengths = [seconds]
        board.twin.inject(lambda twin, event, value: lengths[0] if event == "duration" else value)
        driver.room(1)
        begun = time.monotonic()
        driver.start(1)
        driver.finish(5.0)
        assert 0.9 * seconds < time.monotonic() - begun < seconds + 0.5
        lengths[0] = math.inf
        driver.start(1)
        threading.Timer(0.1, driver.cancel).start()
        begun = time.monotonic()
        with pytest.raises(ClosedError, match="closed while it was waited for"):
            driver.finish(60.0)
        assert 0.05 < time.monotonic() - begun < 5.0
        driver.close()


def test_a_wait_in_another_thread_is_a_wait_of_its_own():
    board, found = Run(0.01), []
    thread = threading.Thread(target=lambda: found.append(board.wait("ip", (0, 2), 1.0)))
    thread.start()
    thread.join()
    assert found == [2]
