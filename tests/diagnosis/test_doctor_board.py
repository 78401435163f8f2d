"""Each thing that can be wrong with a board is named, with its remedy."""

from __future__ import annotations

import calendar
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from faked_host import machine, pc, z1

from qnn_pynq import boards
from qnn_pynq.diagnosis.board import (
    check_board,
    check_clock,
    check_cma,
    check_device_tree,
    check_fpga_manager,
    check_image,
    check_lock,
    check_logic_clock,
    check_memory,
)
from qnn_pynq.diagnosis.host import Check
from qnn_pynq.errors import BoardBusyError, BoardUnavailableError

STATE = "sys/class/fpga_manager/fpga0/state"


def test_a_board_is_described(tmp_path: Path) -> None:
    host = z1(tmp_path)
    assert check_device_tree(host) == Check("board name", "ok", "Pynq-Z1 (Pynq-Z1)", "")
    assert check_fpga_manager(host).value == "Xilinx Zynq FPGA Manager, operating"
    assert check_cma(host) == Check("contiguous memory", "ok", "117 MiB free of 128 MiB", "")
    assert check_memory(host) == Check("free memory", "ok", "294 MiB", "")


def test_another_board_and_an_unnamed_zynq_are_warned_of(tmp_path: Path) -> None:
    host = z1(tmp_path, {"proc/device-tree/chosen/pynq_board": "ZCU104\0"})
    assert "Pynq-Z1" in check_device_tree(host).advice
    (tmp_path / "proc/device-tree/chosen/pynq_board").unlink()
    host.environ = {}
    assert "BOARD=" in check_device_tree(host).advice
    host.environ = {"BOARD": "Pynq-Z2"}
    assert check_device_tree(host).status == "ok"


@pytest.mark.parametrize(
    "kernel, ubuntu, status, words",
    [
        ("5.4.0-xilinx-v2020.2", "20.04", "ok", "PYNQ 2.7"),
        ("6.6.10-xilinx-v2024.1", "22.04", "ok", "Release 2025_07_01"),
        ("5.4.0-xilinx-v2020.1", "18.04", "warn", "PYNQ 2.6"),
        ("6.12.0-xilinx-v2025.2", "24.04", "warn", "PYNQ 4.0"),
        ("6.1.0-own", "22.04", "warn", "unknown"),
    ],
)
def test_kernel_and_image(tmp_path: Path, kernel: str, ubuntu: str, status: str, words: str) -> None:
    files = {"proc/sys/kernel/osrelease": kernel, "etc/os-release": f"VERSION_ID={ubuntu}\n"}
    found = check_image(z1(tmp_path, files))
    assert found.status == status and words in found.value and kernel in found.value
    assert bool(found.advice) == (status == "warn")
    assert check_image(pc(tmp_path / "pc")).status == "info"


def test_no_fpga_manager(tmp_path: Path) -> None:
    host = z1(tmp_path)
    for name in ("name", "state"):
        (tmp_path / "sys/class/fpga_manager/fpga0" / name).unlink()
    (tmp_path / "sys/class/fpga_manager/fpga0").rmdir()
    assert check_fpga_manager(host).status == "fail" and "image 2.7" in check_fpga_manager(host).advice
    assert check_fpga_manager(pc(tmp_path / "pc")).status == "info"


@pytest.mark.parametrize(
    "state, status",
    [("operating", "ok"), ("unknown", "ok"), ("write error", "warn"), ("firmware request error", "warn")],
)
def test_the_state_of_the_fpga_manager(tmp_path: Path, state: str, status: str) -> None:
    found = check_fpga_manager(z1(tmp_path, {STATE: state + "\n"}))
    assert found.status == status and state in found.value and bool(found.advice) == (status == "warn")


@pytest.mark.parametrize(
    "rate, status, advice",
    [
        ("100000000", "ok", ""),
        ("50000000", "ok", ""),
        ("0", "warn", "registers do not answer"),
        ("142857132", "warn", "faster than 100 MHz"),
        ("none", "info", ""),
    ],
)
def test_the_clock_of_the_logic(tmp_path: Path, rate: str, status: str, advice: str) -> None:
    found = check_logic_clock(z1(tmp_path, {"sys/kernel/debug/clk/fclk0/clk_rate": rate + "\n"}))
    assert found.status == status and advice in found.advice and bool(found.advice) == (status == "warn")
    assert check_logic_clock(pc(tmp_path / "pc")).status == "info"


@pytest.mark.parametrize(
    "lines, status, advice",
    [
        ("CmaTotal: 131072 kB\nCmaFree: 1024 kB\n", "warn", "close other notebooks"),
        ("CmaTotal: 8192 kB\nCmaFree: 8000 kB\n", "warn", "cma=128M"),
        ("CmaTotal: 131072 kB\n", "warn", "close other notebooks"),
        ("MemAvailable: 20000 kB\n", "fail", "cma=128M"),
    ],
)
def test_contiguous_memory_too_small_or_nearly_used_up_or_not_there(
    tmp_path: Path, lines: str, status: str, advice: str
) -> None:
    found = check_cma(z1(tmp_path, {"proc/meminfo": lines}))
    assert found.status == status and advice in found.advice
    assert check_cma(pc(tmp_path / "pc")).status == "info"


def test_little_memory(tmp_path: Path) -> None:
    assert check_memory(z1(tmp_path, {"proc/meminfo": "MemAvailable: 20000 kB\n"})).status == "warn"


@pytest.mark.parametrize("day, status", [((1970, 1, 1), "warn"), ((2025, 7, 1), "warn"), ((2027, 1, 1), "ok")])
def test_a_clock_before_this_library_was_written(tmp_path: Path, day: tuple[int, int, int], status: str) -> None:
    host = z1(tmp_path)
    host.now = float(calendar.timegm((*day, 12, 0, 0)))
    found = check_clock(host)
    assert found.status == status and "{}-{:02}-{:02}".format(*day) in found.value
    assert ("date -s" in found.advice) == (status == "warn")


HOLD = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); sys.stdin.read()"


@pytest.mark.parametrize("folder", ["run/lock", "tmp"])
def test_the_board_lock_of_another_process(tmp_path: Path, folder: str) -> None:
    host = z1(tmp_path)
    assert check_lock(host) == Check("board lock", "ok", "free", "")
    path = machine(tmp_path, {folder + "/qnn-pynq-fpga0.lock": ""}) / folder / "qnn-pynq-fpga0.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        other.stdout.readline()
        path.write_text(f"{other.pid}\npython3 camera.py\n2026-11-21 09:00:00 +0000\n")
        found = check_lock(host)
        other.stdin.close()
        other.wait()
    assert found.status == "warn" and "end it" in found.advice
    assert f"process {other.pid} (python3 camera.py, since 2026-11-21" in found.value
    assert str(path) in found.value
    assert check_lock(host).status == "ok", "the kernel drops a dead process's lock, whatever the file says"


def test_a_board_lock_that_says_nothing_of_its_holder(tmp_path: Path) -> None:
    path = machine(tmp_path, {"tmp/qnn-pynq-fpga0.lock": ""}) / "tmp/qnn-pynq-fpga0.lock"
    with path.open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert "held by another process, says " in check_lock(z1(tmp_path)).value


def test_the_doctor_reads_what_the_board_writes_into_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qnn_pynq.boards.zynq.lock import ProcessLock

    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (tmp_path / "tmp").mkdir()
    lock = ProcessLock("fpga0")
    assert check_lock(z1(tmp_path)).value.startswith("held by this process (" + str(tmp_path))
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert "held by process " in check_lock(z1(tmp_path)).value and ", since 20" in check_lock(z1(tmp_path)).value
    lock.release()
    assert check_lock(z1(tmp_path)).status == "ok"


def test_the_board_lock_of_this_process(tmp_path: Path) -> None:
    path = machine(tmp_path, {"run/lock/qnn-pynq-fpga0.lock": str(os.getpid())}) / "run/lock/qnn-pynq-fpga0.lock"
    with path.open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert check_lock(z1(tmp_path)).status == "info"


@pytest.mark.parametrize(
    "error, status", [(BoardBusyError("in use by process 7"), "warn"), (BoardUnavailableError("no pynq"), "fail")]
)
def test_a_board_that_does_not_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str
) -> None:
    def refuse(name: str) -> None:
        raise error

    monkeypatch.setattr(boards, "open_board", refuse)
    found = check_board(z1(tmp_path))
    assert (found.status, found.value) == (status, str(error)) and found.advice
    assert check_board(pc(tmp_path / "pc")).status == "info", "no board is opened on a PC"
