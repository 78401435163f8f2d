"""Waiting for an IP: by its interrupt where there is one, else by looking again and again, less and less often."""
from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ..errors import DeadlineError

if TYPE_CHECKING:
    from .base import Board, Done, Registers

__all__ = ["pause", "wait", "wait_async"]

_SPIN = 0.0012  # seconds: a sleep is late by some 0.06 ms, too much of a run of 1 ms
_SHARE = 0.025  # of the time waited so far: late by that at most, and 270 looks in a run of a second
_TRUST = 0.02  # seconds to wait for an interrupt before looking oneself: it can be lost


def pause(elapsed: float, left: float) -> float:
    """Seconds until the next look, after `elapsed`, with `left` until the deadline."""
    return 0.0 if elapsed < _SPIN else min(left, _SHARE * elapsed)


def wait(board: Board, ip: str, done: Done, timeout: float, what: str) -> int:
    """`Board.wait`."""
    registers, line = board.ip(ip), board.interrupt_line(ip)
    start = board.clock.now()
    for attempt in itertools.count():
        value = _look(registers, done)
        if value:
            return value
        elapsed, left = _times(board, start, timeout, what)
        if line is not None:
            # One that fires without the bit is of something else, and would fire again at once: no more of it.
            fired = line.wait(min(left, max(_TRUST, elapsed)))
            line = line if fired is False else None
        else:
            board.idle(attempt, elapsed, left)
    raise AssertionError


async def wait_async(board: Board, ip: str, done: Done, timeout: float, what: str) -> int:
    """`Board.wait_async`."""
    registers, line = board.ip(ip), board.interrupt_line(ip)
    start = board.clock.now()
    for attempt in itertools.count():
        value = _look(registers, done)
        if value:
            return value
        elapsed, left = _times(board, start, timeout, what)
        if line is not None:
            fired = await line.wait_async(min(left, max(_TRUST, elapsed)))
            line = line if fired is False else None
        else:
            await board.idle_async(attempt, elapsed, left)
    raise AssertionError


def _look(registers: Registers, done: Done) -> int:
    return int(done(registers)) if callable(done) else registers.read(done[0]) & done[1]


def _times(board: Board, start: float, timeout: float, what: str) -> tuple[float, float]:
    """Seconds since the start and until the deadline; DeadlineError after it."""
    elapsed = board.clock.now() - start
    if elapsed >= timeout:
        raise DeadlineError(f"{what}: no answer within {timeout:g} s; reset() the board and load the network again, "
                            "or allow more time")
    return elapsed, timeout - elapsed
