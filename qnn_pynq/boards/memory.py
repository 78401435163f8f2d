"""The memory of an emulated board, as its logic sees it: bounded, and nothing outside of live buffers."""
from __future__ import annotations

import bisect
from typing import Any, Tuple

import numpy as np

from ..contracts.chip import DDR_PL, PAGE
from ..contracts.twin import Memory
from ..errors import BoardError, BusError

__all__ = ["EmulatedMemory"]

_Block = Tuple[int, np.ndarray, object]
_PLACED = object()  # key of what `place` put there


class EmulatedMemory(Memory):
    """Holds the logic's view of every live buffer.

    Parameters
    ----------
    limit : int
        Bytes, in whole pages.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # (start, bytes, key), sorted; one list, so that an interrupt or a finalizer finds all or none.
        self._blocks: list[_Block] = []
        self._placed = 0  # pages of it, in bytes

    @property
    def used(self) -> int:
        """Bytes of the live buffers, in whole pages."""
        return sum(self._pages(block.size) for _, block, _ in list(self._blocks))

    @staticmethod
    def _pages(nbytes: int) -> int:
        return max(1, -(-nbytes // PAGE)) * PAGE

    def allocate(self, nbytes: int, key: object = None) -> tuple[int, np.ndarray]:
        """First fit: (page aligned address, the logic's zeroed bytes), until `free`, or `drop` of the key."""
        need, address = self._pages(nbytes), DDR_PL
        for start, block, _ in list(self._blocks):
            if start - address >= need:
                break
            address = start + self._pages(block.size)
        if address + need > DDR_PL + self.limit:
            raise BoardError(
                f"contiguous memory: {nbytes} bytes asked for, {self.used} of {self.limit} in use; "
                "close other buffers, use smaller batches, or give the board a larger memory_limit")
        return address, self._insert(address, nbytes, key)

    def place(self, address: int, nbytes: int) -> np.ndarray:
        """Zeroed bytes at an address that another board chose, until `free`.

        Raises
        ------
        BoardError
            More than the limit, or where another buffer is.
        """
        need = self._pages(nbytes)
        if self._placed + need > self.limit:
            raise BoardError(f"{nbytes} bytes at {address:#x}, beside {self._placed}: more than {self.limit >> 20} MiB")
        behind = self._place(address + 1)
        before = self._blocks[behind - 1] if behind else None
        after = self._blocks[behind] if behind < len(self._blocks) else None
        if (before and address < before[0] + max(1, before[1].size)) or (after and address + nbytes > after[0]):
            raise BoardError(f"{nbytes} bytes at {address:#x}: another buffer is there")
        block = self._insert(address, nbytes, _PLACED)
        self._placed += need
        return block

    def _insert(self, address: int, nbytes: int, key: object) -> np.ndarray:
        block = np.zeros(nbytes, np.uint8)
        entry = address, block, key
        self._blocks.insert(self._place(address), entry)
        return block

    def _place(self, address: int) -> int:
        """Of the first block at or behind an address."""
        sought: Any = (address,)  # sorts before a triple with the same start
        return bisect.bisect_left(self._blocks, sought)

    def free(self, address: int) -> bool:
        """Forget the buffer that starts at `address`; whether there was one."""
        place = self._place(address)
        if place >= len(self._blocks) or self._blocks[place][0] != address:
            return False
        _, block, key = self._blocks[place]
        del self._blocks[place]
        if key is _PLACED:
            self._placed -= self._pages(block.size)
        return True

    def drop(self, key: object) -> None:
        """Forget the buffer of a key, and nobody else's that lies there by now."""
        for start, _, other in list(self._blocks):
            if other is key:
                self.free(start)

    def clear(self) -> None:
        """Forget every buffer."""
        self._blocks, self._placed = [], 0

    def read(self, address: int, nbytes: int) -> np.ndarray:
        place = self._place(address + 1) - 1
        if place >= 0:
            first, block, _ = self._blocks[place]
            start = address - first
            if start + nbytes <= block.size:
                return block[start:start + nbytes]
        raise BusError(f"the logic accessed {address:#x}..{address + nbytes:#x}, outside every live buffer; "
                       "check the addresses, numReps, and that no buffer was closed during the run")

    def write(self, address: int, data: np.ndarray) -> None:
        self.read(address, data.size)[:] = data
