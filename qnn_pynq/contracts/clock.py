"""Where a board takes its time from."""
from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod

__all__ = ["Clock", "RealClock", "VirtualClock"]


class Clock(ABC):
    """Where a board takes its time from."""

    @abstractmethod
    def now(self) -> float:
        """Seconds since some fixed moment."""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""

    def sleep_until(self, moment: float) -> None:
        """Let time pass up to `moment` on this clock."""
        self.sleep(max(0.0, moment - self.now()))

    def elapse(self, seconds: float, times: int = 1) -> float:
        """Modelled time went by, `times` so many seconds: moves a virtual clock, costs nothing on a real one.

        Returns
        -------
        float
            `now()`.
        """
        return self.now()


class RealClock(Clock):
    """The machine's monotonic clock."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)


class VirtualClock(Clock):
    """Starts at 0 and moves only when told: waiting costs no real time."""

    def __init__(self) -> None:
        self._now = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def sleep_until(self, moment: float) -> None:
        with self._lock:
            self._now = max(self._now, moment)

    def elapse(self, seconds: float, times: int = 1) -> float:
        with self._lock:
            for _ in range(times):  # one by one: the same sum as of single calls
                self._now += seconds
            return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`."""
        with self._lock:
            self._now += max(0.0, seconds)
