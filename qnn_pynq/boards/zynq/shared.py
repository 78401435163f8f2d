"""One board for the FPGA of this process, whoever asks for it."""
from __future__ import annotations

import os
import threading
from typing import Callable
from weakref import ref

from .board import ZynqBoard

__all__ = ["shared_board"]

_shared: Callable[[], ZynqBoard | None] = lambda: None  # noqa: E731 (a dead weak reference)
_sharing = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child never inherits it held by a thread that it does not have
    os.register_at_fork(before=_sharing.acquire, after_in_parent=_sharing.release, after_in_child=_sharing.release)


def shared_board() -> ZynqBoard:
    """The FPGA's board of this process: one for all classifiers, so that a notebook's cell can be run again.

    Closed when each of them has closed it.
    """
    global _shared
    with _sharing:  # two threads that open it at once get the same
        board = _shared()
        if board is not None and not board.inherited:
            with board.lock:
                if not board.closed:
                    board.users += 1
                    return board
        board = ZynqBoard()
        _shared = ref(board)
        return board
