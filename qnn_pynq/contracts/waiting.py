"""Waiting for an IP: by its interrupt where there is one, else by looking again and again, less and less often."""
from __future__ import annotations

from typing import Callable, Protocol

from ..errors import ClosedError, DeadlineError
from .clock import Clock

__all__ = ["LONGEST", "Line", "pause", "wait"]

_SPIN = 0.0012  # seconds: a sleep is late by some 0.06 ms, too much of a run of 1 ms
_SHARE = 0.025  # of the time waited so far: late by that at most, and 270 looks in a run of a second
LONGEST = 0.05  # seconds between two looks, so that a wait that is cancelled ends soon
_TRUST = 0.02  # seconds to wait for an interrupt before looking oneself: it can be lost


class Line(Protocol):
    """An interrupt that can be waited for."""

    def wait(self, seconds: float) -> bool | None:
        """Whether it fired in time; None where it cannot be waited for."""


def pause(elapsed: float, left: float) -> float:
    """Seconds until the next look, after `elapsed`, with `left` until the deadline."""
    return 0.0 if elapsed < _SPIN else min(left, LONGEST, _SHARE * elapsed)


def wait(look: Callable[[], int], idle: Callable[[int, float, float], None], line: Line | None, clock: Clock,
         timeout: float, what: str, cancelled: Callable[[], bool] | None = None) -> int:
    """Look until there is something to see.

    Parameters
    ----------
    look : callable
        What is waited for: what it gives when that is not 0 is the answer.
    idle : callable
        `Board.idle`: lets time pass until the next look.
    line : Line or None
        Fires when a look may be worth it.
    clock, timeout, what, cancelled
        As for `Board.wait`.
    """
    start = clock.now()
    end = start + timeout
    attempt = 0
    while True:
        if cancelled is not None and cancelled():
            raise ClosedError(f"{what}: closed while it was waited for")
        value = look()
        if value:
            return value
        now = clock.now()
        elapsed, left = now - start, end - now
        if not left > 0:  # of NaN too
            raise DeadlineError(f"{what}: no answer within {timeout:g} s; reset() the board and load the "
                                "network again, or allow more time")
        if line is not None:
            # One that fires without the bit is of something else, and would fire again at once: no more of it.
            if line.wait(min(left, LONGEST, max(_TRUST, elapsed))) is not False:
                line = None
        else:
            idle(attempt, elapsed, left)
            attempt += 1
