"""Contiguous memory from pynq.allocate."""
from __future__ import annotations

from typing import Any

import numpy as np

from ...contracts.board import Buffer
from ...errors import ClosedError

__all__ = ["ZynqBuffer"]


class _Memory:
    """The memory of a pynq buffer, which lives as long as an array on it: numpy may forget what a view is a view of."""

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer
        self.__array_interface__ = buffer.__array_interface__


class ZynqBuffer(Buffer):
    """A pynq buffer, cacheable: flush and invalidate are real.

    pynq 3.1 and newer, and PYNQ.remote, move the whole buffer whatever part is asked for: so one buffer is never
    written by both sides at once.
    """

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer
        # A RemoteBuffer's slice would move the wrong bytes, and pynq 3.1 cannot make one of a slice.
        self._bytes = buffer.reshape(-1).view(np.uint8) if type(buffer).__name__ == "PynqBuffer" else None
        self._array: Any = np.asarray(_Memory(buffer))  # arithmetic on a PynqBuffer keeps a wrong address
        self.device_address = int(buffer.device_address)  # of the root, once: slices of a RemoteBuffer have wrong ones
        self.nbytes = int(buffer.nbytes)

    @property
    def array(self) -> np.ndarray:
        self._check()
        view: np.ndarray = self._array
        return view

    @property
    def pynq_buffer(self) -> Any:
        """The buffer as pynq's own drivers want it. ClosedError after close()."""
        self._check()
        return self._buffer

    def _check(self) -> None:
        if self.closed:
            raise ClosedError(f"buffer at {self.device_address:#x} is closed: allocate another")

    def _part(self, nbytes: int | None) -> Any:
        self._check()
        if nbytes is None or nbytes >= self.nbytes or self._bytes is None:
            return self._buffer
        return self._bytes[:nbytes]

    def flush(self, nbytes: int | None = None) -> None:
        self._part(nbytes).flush()

    def invalidate(self, nbytes: int | None = None) -> None:
        self._part(nbytes).invalidate()

    def close(self) -> None:
        # Freed with the last view: unmapping under one would kill the process.
        self.closed = True
        self._buffer = self._bytes = self._array = None

    def keep_forever(self) -> None:
        """In a forked child: freeing would free the parent's, whose driver handle is ours too."""
        if self._buffer is not None:
            import ctypes

            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._buffer))
