"""A board whose processor cache writes dirty lines back late, over what the circuit has written meanwhile."""

from __future__ import annotations

import numpy as np

from qnn_pynq.boards.emulated import EmulatedBoard, EmulatedBuffer
from qnn_pynq.contracts.board import shape_bytes

__all__ = ["EvictingBoard"]

_LINE = 32


class _EvictingBuffer(EmulatedBuffer):
    """Random at first, so that whatever is written to it changes it; a line is dirty until it is flushed."""

    def __init__(self, board, shape, dtype, nbytes):
        super().__init__(board, shape, dtype, nbytes)
        self._logic[:] = self._bytes[:] = np.random.default_rng(nbytes).integers(0, 256, nbytes).astype(np.uint8)
        self._clean = self._bytes.copy()

    def evict(self):
        """What may happen at any moment. The lines stay dirty: each could leave the cache later as well."""
        lines = np.unique(np.flatnonzero(self._bytes != self._clean) // _LINE)
        dirty = np.zeros((-(-self.nbytes // _LINE), _LINE), bool)
        dirty[lines] = True
        np.copyto(self._logic, self._bytes, where=dirty.reshape(-1)[: self.nbytes])
        return len(lines)

    def flush(self, nbytes=None):
        super().flush(nbytes)
        self._clean[:nbytes] = self._bytes[:nbytes]

    def invalidate(self, nbytes=None):
        self._check()
        self._board.settle()
        self.evict()
        super().invalidate(nbytes)
        self._clean[:nbytes] = self._bytes[:nbytes]


class EvictingBoard(EmulatedBoard):
    """Evicts whenever somebody waits for the circuit."""

    def __init__(self, **options):
        super().__init__(**options)
        self.evicted = 0
        self._buffers = []

    def allocate(self, shape, dtype=np.uint8):
        buffer = _EvictingBuffer(self, *shape_bytes(shape, dtype))
        self._buffers.append(buffer)
        return buffer

    def wait(self, *arguments):
        found = super().wait(*arguments)
        self.settle()
        self._buffers = [buffer for buffer in self._buffers if not buffer.closed]
        self.evicted += sum(buffer.evict() for buffer in self._buffers)
        return found
