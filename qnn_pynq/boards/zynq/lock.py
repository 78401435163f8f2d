"""One owner of the FPGA at a time: a lock between processes that names its holder and dies with it."""
from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import tempfile
import time
import weakref
from typing import Any

from ...errors import BoardBusyError, BoardUnavailableError

__all__ = ["ProcessLock", "on_fork"]

_CONTENT = 400  # bytes, at most


class ProcessLock:
    """Held from construction to `release`, or to the death of the process: the kernel drops it then.

    Parameters
    ----------
    name : str
        Of what is owned.

    Raises
    ------
    BoardBusyError
        With the holder's process id, program and start.
    BoardUnavailableError
        The lock file cannot be opened.
    """

    def __init__(self, name: str) -> None:
        import fcntl

        self._fd = -1
        folder = "/run/lock" if os.access("/run/lock", os.W_OK) else tempfile.gettempdir()
        self.path = os.path.join(folder, "qnn-pynq-{}.lock".format(re.sub(r"\W", "_", name)))
        try:
            fd = self._open()
        except OSError as error:
            raise BoardUnavailableError(f"lock file {self.path} cannot be opened: {error}; remove it, unless a program "
                                        "of its owner uses the board") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(fd, _CONTENT).decode("utf-8", "replace").strip()
            os.close(fd)
            raise BoardBusyError(_refusal(holder, self.path)) from error
        self._fd = fd
        self._say(_introduction())

    def _open(self) -> int:
        flags = os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | flags, 0o644)
        except PermissionError:  # another user has had the board: locking takes no right to write
            fd = os.open(self.path, os.O_RDONLY | flags)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError("it is no plain file")
        return fd

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # not ours, or a full disk: the lock holds without words
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, text.encode("utf-8", "replace")[:_CONTENT], 0)

    def __del__(self) -> None:
        self.release()

    def release(self) -> None:
        """Let the next one in; idempotent."""
        if self._fd >= 0:
            self._say("")
        self.disown()

    def disown(self) -> None:
        """In a forked child: the lock stays the parent's alone, and ends with it."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _introduction() -> str:
    """Process id, program and start, one a line."""
    # Jupyter names the notebook there. No arguments: they may hold what is not for everybody.
    program = " ".join([os.path.basename(sys.executable or "python"), *sys.argv[:1],
                        os.environ.get("JPY_SESSION_NAME", "")])
    return "{}\n{}\n{}\n".format(os.getpid(), " ".join(program.split())[:300],
                                 time.strftime("%Y-%m-%d %H:%M:%S %z"))


def _refusal(holder: str, path: str) -> str:
    pid, program, since = (holder.split("\n") + ["", "", ""])[:3]
    if pid == str(os.getpid()):
        who = "this process"
    elif pid:
        who = f"process {pid}"
    else:
        who = "another process"
    if program:
        who += f" ({program}, since {since})"
    return (f"the FPGA is in use by {who}, says {path}: close its board or end it (a notebook: shut its kernel "
            "down); within one process share one board")


_watched: weakref.WeakSet[Any] = weakref.WeakSet()


def on_fork(owner: Any) -> None:
    """Call `owner.forked(pid of the parent)` in every forked child, for as long as the owner lives."""
    _watched.add(owner)


def _forked() -> None:
    for owner in list(_watched):
        owner.forked(os.getppid())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
