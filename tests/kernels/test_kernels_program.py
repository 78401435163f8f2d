"""Register programs against a slave in another thread that answers through the shared window."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from qnn_pynq.errors import KernelError
from qnn_pynq.kernels import PROGRAM_DONE, PROGRAM_TIMEOUT, run_program

STEP = np.dtype([("op", "<u4"), ("offset", "<u4"), ("value", "<u4")])
WRITE, WAIT = 0, 1


def program(*steps):
    return np.array(list(steps), STEP)


class Slave(threading.Thread):
    """A register file in memory: start (0x0 bit 0) copies 0x8 + 1 to 0xC and sets done (0x4 bit 1)."""

    def __init__(self):
        super().__init__(daemon=True)
        self.window = np.zeros(32, np.uint32)
        self.stop = False
        self.seen = []

    def run(self):
        while not self.stop:
            if self.window[0] & 1:
                self.window[0] = 0
                self.seen.append(int(self.window[2]))
                self.window[3] = self.window[2] + 1
                self.window[1] |= 2
            time.sleep(0)


@pytest.fixture()
def slave():
    slave = Slave()
    slave.start()
    yield slave
    slave.stop = True
    slave.join()


def test_writes_happen_in_order_and_last():
    window = np.zeros(4, np.uint32)
    steps = program((WRITE, 0, 1), (WRITE, 4, 2), (WRITE, 0, 0xFFFFFFFF), (WRITE, 12, 5))
    assert run_program(window, steps, 1.0) == (PROGRAM_DONE, 4)
    assert window.tolist() == [0xFFFFFFFF, 2, 0, 5]


def test_a_window_by_address():
    window = np.zeros(4, np.uint32)
    assert run_program(window.ctypes.data, program((WRITE, 8, 7)), 1.0, window_bytes=16) == (PROGRAM_DONE, 1)
    assert window.tolist() == [0, 0, 7, 0]


def test_a_slave_answers_every_transaction(slave):
    steps = []
    for value in range(20):
        steps += [(WRITE, 4, 0), (WRITE, 8, value), (WRITE, 0, 1), (WAIT, 4, 2)]
    assert run_program(slave.window, program(*steps), 60.0) == (PROGRAM_DONE, 80)
    assert slave.seen == list(range(20))
    assert slave.window[3] == 20


def test_the_deadline_names_the_step_and_the_rest_is_not_played():
    window = np.zeros(4, np.uint32)
    begin = time.monotonic()
    assert run_program(window, program((WRITE, 0, 9), (WAIT, 4, 0x80), (WRITE, 8, 1)), 0.05) == (PROGRAM_TIMEOUT, 1)
    assert time.monotonic() - begin >= 0.05
    assert window.tolist() == [9, 0, 0, 0]


def test_no_time_at_all_still_looks():
    window = np.array([4, 0], np.uint32)
    assert run_program(window, program((WAIT, 0, 6), (WRITE, 4, 1)), 0) == (PROGRAM_DONE, 2)
    assert run_program(window, program((WAIT, 0, 2)), 0) == (PROGRAM_TIMEOUT, 0)
    assert run_program(window, program((WAIT, 0, 4)), float("inf")) == (PROGRAM_DONE, 1)


def test_other_python_threads_run_while_it_waits():
    window = np.zeros(2, np.uint32)
    timer = threading.Timer(0.05, lambda: window.__setitem__(0, 1))
    timer.start()
    assert run_program(window, program((WAIT, 0, 1)), 30.0) == (PROGRAM_DONE, 1)
    timer.join()


def test_an_empty_program_is_done():
    assert run_program(np.zeros(1, np.uint32), program(), 1.0) == (PROGRAM_DONE, 0)


@pytest.mark.parametrize(
    "step, words",
    [
        ((2, 0, 0), "step 1 has op 2, expected 0 .write. or 1 .wait."),
        ((WRITE, 16, 0), "step 1 has offset 0x10, expected a multiple of 4 below the window's 0x10 bytes"),
        ((WAIT, 2, 1), "offset 0x2"),
        ((WRITE, 0xFFFFFFFC, 0), "offset 0xfffffffc"),
        ((WRITE, 13, 0), "offset 0xd"),
    ],
)
def test_a_bad_step_is_refused_before_anything_is_touched(step, words):
    window = np.zeros(4, np.uint32)
    with pytest.raises(KernelError, match=words):
        run_program(window, program((WRITE, 0, 1), step), 1.0)
    assert not window.any()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((np.zeros(4, np.int32), program((0, 0, 0)), 1.0), "window has dtype"),
        ((np.zeros((2, 2), np.uint32), program((0, 0, 0)), 1.0), "window has shape"),
        ((np.zeros(8, np.uint32)[::2], program((0, 0, 0)), 1.0), "window has strides"),
        ((np.zeros(17, np.uint8)[1:].view(np.uint32), program((0, 0, 0)), 1.0), "aligned"),
        ((np.broadcast_to(np.uint32(0), (1,)), program((0, 0, 0)), 1.0), "read-only"),
        ((np.zeros(4, np.uint32), np.zeros((1, 3), np.uint32), 1.0), "program has dtype"),
        ((np.zeros(4, np.uint32), np.zeros(13, np.uint8)[1:].view(STEP), 1.0), "program is not aligned"),
        ((np.zeros(4, np.uint32), program((0, 0, 0)), -1.0), "timeout is -1.0"),
        ((np.zeros(4, np.uint32), program((0, 0, 0)), float("nan")), "timeout is nan"),
        ((4096, program((0, 0, 0)), 1.0), "window_bytes is 0"),
        ((4097, program((0, 0, 0)), 1.0, 16), "0x1001"),
        ((0, program((0, 0, 0)), 1.0, 16), "0x0"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(KernelError, match=words):
        run_program(*arguments)


def test_a_long_wait_leaves_the_processor_to_others():
    """5 % is the aim; a spinning loop takes all of it."""
    before = time.thread_time()
    assert run_program(np.zeros(4, np.uint32), program((WAIT, 0, 1)), 1.0) == (PROGRAM_TIMEOUT, 0)
    assert time.thread_time() - before < 0.1
