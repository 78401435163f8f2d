"""Waiting for an IP: by its interrupt where there is one, else by looking again and again, less and less often."""
from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ..errors import DeadlineError

if TYPE_CHECKING:
    from .board import Board, Done, Registers

__all__ = ["pause", "wait", "wait_async"]

_SPIN = 0.0012  # seconds: a sleep is late by some 0.06 ms, too much of a run of 1 ms
_SHARE = 0.025  # of the time waited so far: late by that at most, and 270 looks in a run of a second
_LONGEST = 0.05  # seconds of one pause
_TRUST = 0.02  # seconds to wait for an interrupt before looking oneself: it can be lost
_SAME = 0.001  # seconds: who waits again sooner for the same goes on with a wait cut into slices


def pause(elapsed: float, left: float) -> float:
    """Seconds until the next look, after `elapsed`, with `left` until the deadline."""
    return 0.0 if elapsed < _SPIN else min(left, _LONGEST, _SHARE * elapsed)


class Wait:
    """The times of one wait, or of one cut into slices: the pauses of a later slice go on where the former ended."""

    def __init__(self, board: Board, ip: str, timeout: float, what: str) -> None:
        self._now, self._timeout, self._what = board.clock.now, timeout, what
        self._start = self._first = self._now()
        last = board.last_wait
        if last is not None and last[0] == ip and self._start - last[2] < _SAME:
            self._first = last[1]
        self._board, self._ip = board, ip
        board.last_wait = None

    def times(self) -> tuple[float, float]:
        """Seconds waited so far, and until the deadline; DeadlineError after it."""
        now = self._now()
        left = self._start + self._timeout - now
        if not left > 0:  # of NaN too
            self._board.last_wait = self._ip, self._first, now
            raise DeadlineError(f"{self._what}: no answer within {self._timeout:g} s; reset() the board and load the "
                                "network again, or allow more time")
        return now - self._first, left


def wait(board: Board, ip: str, done: Done, timeout: float, what: str) -> int:
    """`Board.wait`."""
    registers, line = board.ip(ip), board.interrupt_line(ip)
    waited = Wait(board, ip, timeout, what)
    for attempt in itertools.count():
        value = _look(registers, done)
        if value:
            return value
        elapsed, left = waited.times()
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
    waited = Wait(board, ip, timeout, what)
    for attempt in itertools.count():
        value = _look(registers, done)
        if value:
            return value
        elapsed, left = waited.times()
        if line is not None:
            fired = await line.wait_async(min(left, max(_TRUST, elapsed)))
            line = line if fired is False else None
        else:
            await board.idle_async(attempt, elapsed, left)
    raise AssertionError


def _look(registers: Registers, done: Done) -> int:
    return int(done(registers)) if callable(done) else registers.read(done[0]) & done[1]
