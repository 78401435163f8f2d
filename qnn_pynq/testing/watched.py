"""An emulated board that remembers every buffer, and can refuse to give one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..boards.emulated import EmulatedBoard
from ..contracts.board import Buffer

__all__ = ["WatchedBoard"]


class WatchedBoard(EmulatedBoard):
    """As `EmulatedBoard`; tests ask it what a driver has left behind.

    Attributes
    ----------
    buffers : list of Buffer
        All that were ever allocated, also those that nobody else knows any more.
    refuse : callable or None
        Called before each allocation; what it raises is what the driver gets.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.buffers: list[Buffer] = []
        self.refuse: Any = None

    @property
    def held(self) -> int:
        """Buffers that are not closed."""
        return sum(not buffer.closed for buffer in self.buffers)

    def allocate(self, shape: int | tuple[int, ...], dtype: Any = np.uint8) -> Buffer:
        if self.refuse is not None:
            self.refuse()
        buffer = super().allocate(shape, dtype)
        self.buffers.append(buffer)
        return buffer
