"""The lock on the FPGA: names its holder, dies with it, and is not inherited by a fork."""
from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest

from qnn_pynq.boards.zynq import lock as zynq_lock
from qnn_pynq.boards.zynq import shared as zynq_shared
from qnn_pynq.boards.zynq.lock import ProcessLock
from qnn_pynq.errors import BoardBusyError, BoardUnavailableError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Locks of these tests lie in a folder of their own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(zynq_lock.tempfile, "tempdir", None)
    real = os.access
    monkeypatch.setattr(zynq_lock.os, "access", lambda path, mode: path != "/run/lock" and real(path, mode))
    return tmp_path


def other_process(code: str, **options: object) -> subprocess.Popen:
    """A program that has the lock when it has said so."""
    text = "import os, sys, time\nos.access = lambda path, mode: False\n" \
           "from qnn_pynq.boards.zynq.lock import ProcessLock\nlock = ProcessLock('fpga0')\n"
    child = subprocess.Popen([sys.executable, "-c", text + "print('locked', flush=True)\n" + code], cwd=str(ROOT),
                             stdout=subprocess.PIPE, stdin=subprocess.PIPE, universal_newlines=True, **options)
    assert child.stdout.readline() == "locked\n"
    return child


def test_a_second_holder_in_this_process_is_refused_until_the_first_lets_go(folder):
    first = ProcessLock("fpga0")
    with pytest.raises(BoardBusyError, match="this process"):
        ProcessLock("fpga0")
    other = ProcessLock("another/board")
    assert Path(first.path).parent == folder and Path(other.path).name == "qnn-pynq-another_board.lock"
    other.release()
    first.release()
    first.release()
    ProcessLock("fpga0").release()


def test_another_process_is_named_with_its_program_and_its_start():
    child = other_process("sys.stdin.read()")
    with pytest.raises(BoardBusyError) as caught:
        ProcessLock("fpga0")
    assert re.search(rf"in use by process {child.pid} \(python\S* -c, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d ",
                     str(caught.value))
    child.communicate("")
    ProcessLock("fpga0").release()


def test_what_a_killed_process_held_is_free():
    child = other_process("time.sleep(60)")
    with pytest.raises(BoardBusyError):
        ProcessLock("fpga0")
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    ProcessLock("fpga0").release()
    child.stdout.close()
    child.stdin.close()


def test_a_forked_child_neither_has_the_lock_nor_keeps_it():
    lock = ProcessLock("fpga0")

    class Owner:
        parent = None

        def forked(self, parent):
            self.parent = parent
            lock.disown()

    owner = Owner()
    zynq_lock.on_fork(owner)
    told, tell = os.pipe()
    go, say = os.pipe()
    pid = os.fork()
    if pid == 0:  # lives on after the parent let go
        os.close(say)  # so that it ends with its parent at the latest
        try:
            os.write(tell, b"y" if owner.parent == os.getppid() and lock._fd == -1 else b"n")
            os.read(go, 1)
        finally:
            os._exit(0)
    assert os.read(told, 1) == b"y"
    with pytest.raises(BoardBusyError, match="this process"):  # the child's copy did not open it
        ProcessLock("fpga0")
    lock.release()
    ProcessLock("fpga0").release()
    os.write(say, b"x")
    os.waitpid(pid, 0)
    for end in (told, tell, go, say):
        os.close(end)


def test_a_lock_file_that_is_a_trap_is_not_followed(folder):
    (folder / "qnn-pynq-fpga0.lock").symlink_to(folder / "victim")
    with pytest.raises(BoardUnavailableError, match="cannot be opened"):
        ProcessLock("fpga0")
    assert not (folder / "victim").exists()


def test_a_lock_file_that_is_no_file_is_refused_and_not_waited_for(folder):
    os.mkfifo(str(folder / "qnn-pynq-fpga0.lock"))
    (folder / "qnn-pynq-fpga1.lock").mkdir()
    for name in ("fpga0", "fpga1"):
        with pytest.raises(BoardUnavailableError, match="cannot be opened: .*; remove it"):
            ProcessLock(name)


def test_a_file_that_another_user_left_behind_locks_all_the_same(folder, monkeypatch):
    path = folder / "qnn-pynq-fpga0.lock"
    path.write_text("")
    real = os.open

    def other_user(name, flags, *mode):
        if name == str(path) and flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(13, "Permission denied")
        return real(name, flags, *mode)

    with monkeypatch.context() as context:
        context.setattr(zynq_lock.os, "open", other_user)
        lock = ProcessLock("fpga0")
        with pytest.raises(BoardBusyError, match="another process"):
            ProcessLock("fpga0")
        lock.release()
        ProcessLock("fpga0").release()
        context.setattr(zynq_lock.os, "open", lambda *_: other_user(str(path), os.O_RDWR))
        with pytest.raises(BoardUnavailableError, match="Permission denied; remove it, unless a program of its owner"):
            ProcessLock("fpga0")


def test_a_disk_without_room_for_the_holders_name_locks_all_the_same(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zynq_lock.os, "pwrite", full)
    lock = ProcessLock("fpga0")
    with pytest.raises(BoardBusyError):
        ProcessLock("fpga0")
    lock.release()
    ProcessLock("fpga0").release()


def test_threads_that_open_the_fpga_at_the_same_time_get_the_same_board(monkeypatch):
    made = []

    class Slow:
        inherited = closed = False
        users = 1

        def __init__(self):
            self.lock = threading.RLock()
            made.append(self)
            barrier_passed.wait(0.2)  # the others come while it opens

    barrier_passed = threading.Event()
    monkeypatch.setattr(zynq_shared, "ZynqBoard", Slow)
    monkeypatch.setattr(zynq_shared, "_shared", lambda: None)
    found = []
    threads = [threading.Thread(target=lambda: found.append(zynq_shared.shared_board())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and found == made * 8 and made[0].users == 8


def test_a_forked_child_asks_for_a_board_of_its_own(monkeypatch):
    parents = types.SimpleNamespace(inherited=True, closed=False, users=1, lock=threading.RLock())
    own = types.SimpleNamespace(inherited=False, closed=False, users=1, lock=threading.RLock())

    class Own:
        def __new__(cls):
            return own

    monkeypatch.setattr(zynq_shared, "_shared", lambda: parents)
    monkeypatch.setattr(zynq_shared, "ZynqBoard", Own)
    monkeypatch.setattr(zynq_shared, "ref", lambda board: lambda: board)
    assert zynq_shared.shared_board() is own and parents.users == 1
