"""What flows between emulated blocks: bytes with TLAST, and the moment at which they are there."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

__all__ = ["Fifo"]


@dataclass
class _Part:
    """Bytes that came at once."""

    moment: float
    data: np.ndarray
    last: bool


class Fifo:
    """Bytes on their way from one block to the next, in order.

    Parameters
    ----------
    capacity : float
        Bytes that it takes before its writer has to wait; a writer may exceed it by what it writes at once.
    """

    def __init__(self, capacity: float = math.inf) -> None:
        self.capacity = capacity
        self.size = 0
        self._parts: deque[_Part] = deque()

    @property
    def room(self) -> bool:
        """Whether a writer may write now."""
        return self.size < self.capacity

    def put(self, data: np.ndarray, last: bool, moment: float) -> None:
        """Append bytes that are there from `moment` on; `last`: TLAST stands on their last beat."""
        if data.size:
            self._parts.append(_Part(moment, data, last))
            self.size += data.size

    def moment(self, nbytes: int = 1) -> float:
        """When the next `nbytes` are there; inf where there are fewer."""
        latest = 0.0
        for part in self._parts:
            latest = max(latest, part.moment)
            nbytes -= part.data.size
            if nbytes <= 0:
                return latest
        return math.inf

    def take(self, nbytes: int, now: float = math.inf, packet: bool = False) -> tuple[np.ndarray, bool]:
        """Up to `nbytes` of what is there now, and whether TLAST stood on the last of them.

        With `packet`, no more than up to the first TLAST.
        """
        taken, last = [], False
        while nbytes and self._parts and self._parts[0].moment <= now:
            part = self._parts[0]
            data = part.data[:nbytes]
            taken.append(data)
            nbytes -= data.size
            self.size -= data.size
            if data.size < part.data.size:
                part.data = part.data[data.size:]
                last = False
            else:
                last = self._parts.popleft().last
                if last and packet:
                    break
        return (np.concatenate(taken) if taken else np.zeros(0, np.uint8)), last

    def clear(self) -> None:
        """Drop everything."""
        self._parts.clear()
        self.size = 0
