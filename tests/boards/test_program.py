"""Register programs, played access by access."""
from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from qnn_pynq.contracts.clock import VirtualClock
from qnn_pynq.contracts.program import PROGRAM_DTYPE, WAIT, WRITE, run_plainly
from qnn_pynq.errors import DeadlineError


class Window:
    """Remembers writes; what is read is all ones up to a number of reads."""

    def __init__(self, reads):
        self.reads, self.written = reads, []

    def read(self, offset):
        self.reads -= 1
        return 0xFFFFFFFF if self.reads >= 0 else 0

    def write(self, offset, value):
        self.written.append((offset, value))


def _program(steps):
    program = np.zeros(steps, PROGRAM_DTYPE)
    program["op"] = np.where(np.arange(steps) % 3 == 2, WAIT, WRITE)
    program["offset"], program["value"] = 4 * (np.arange(steps) % 7), 1 + np.arange(steps)
    return program


@pytest.mark.parametrize("steps", [0, 1, 3, 4095, 4096, 4097, 10_000])
def test_every_step_is_played_in_order(steps):
    program, window = _program(steps), Window(1 << 30)
    run_plainly(window, program, VirtualClock(), 1.0)
    wanted = program[program["op"] == WRITE]
    assert window.written == list(zip(wanted["offset"].tolist(), wanted["value"].tolist()))
    assert (1 << 30) - window.reads == np.count_nonzero(program["op"] == WAIT)


def test_a_step_that_fails_is_named_by_its_number_in_the_whole_program():
    clock = VirtualClock()
    with pytest.raises(DeadlineError, match="step 8999 of 10000: .* within 0.5 s"):
        run_plainly(Window(2999), _program(10_000), clock, 0.5, lambda attempt, left: clock.sleep(left))
    assert clock.now() == 0.5


def test_a_long_program_that_fails_at_once_is_not_turned_into_numbers_first():
    program, clock = _program(2_000_000), VirtualClock()
    tracemalloc.start()
    with pytest.raises(DeadlineError):
        run_plainly(Window(0), program, clock, 0.5, lambda attempt, left: clock.sleep(left))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20  # all of it takes 300 MB
