"""What the kernel's files say about the FPGA, on folders that stand for a board; no pynq needed."""
from __future__ import annotations

import os
import types

import pytest

from qnn_pynq.boards.zynq import kernel as zynq_kernel
from qnn_pynq.boards.zynq.kernel import FPGA_MANAGER, KernelFiles, KernelLog
from qnn_pynq.boards.zynq.state import check_manager
from qnn_pynq.errors import BoardError


def written(root, path, content):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content)


def test_a_pc_has_no_fpga_and_nothing_to_object(tmp_path):
    files = KernelFiles(tmp_path)
    assert not files.has_fpga and files.manager_state is None and files.clock_mhz(0) is None
    check_manager(files)


@pytest.mark.parametrize("state", ["unknown", "write error", "power off", ""])
def test_logic_that_is_not_configured_is_not_touched(tmp_path, state):
    written(tmp_path, FPGA_MANAGER + "/state", state.encode() + b"\n")
    files = KernelFiles(tmp_path)
    assert files.has_fpga
    with pytest.raises(BoardError, match=f"{state!r}.*not 'operating'.*stall"):
        check_manager(files)
    written(tmp_path, FPGA_MANAGER + "/state", b"operating\n")
    check_manager(files)


def test_the_kernels_clock_is_read_where_debugfs_is_mounted(tmp_path):
    written(tmp_path, "sys/kernel/debug/clk/fclk0/clk_rate", b"99999999\n")
    assert KernelFiles(tmp_path).clock_mhz(0) == pytest.approx(100, 1e-6)
    written(tmp_path, "sys/kernel/debug/clk/fclk0/clk_rate", b"")
    assert KernelFiles(tmp_path).clock_mhz(0) is None


def test_a_remote_boards_files_are_read_over_there(tmp_path):
    there = {"/" + FPGA_MANAGER + "/state": b"operating\n"}
    remote = types.SimpleNamespace(read_file=there.__getitem__,
                                   exists_file=lambda path: types.SimpleNamespace(exists=path in there))
    files = KernelFiles(tmp_path, remote)
    assert files.manager_state == "operating" and files.has_fpga and files.text("proc/version") is None


RECORD = b"6,812,5140900,-;fpga_manager fpga0: writing base.bin to Xilinx Zynq FPGA Manager\n"


def test_the_kernels_log_tells_each_configuration_once(tmp_path):
    path = tmp_path / "kmsg"
    path.write_bytes(RECORD)
    log = KernelLog(path)
    assert not log.configured()  # before our time
    with open(str(path), "ab") as file:
        file.write(b"6,813,5140901,-;usb 1-1: new device\n")
        file.flush()
        assert not log.configured()
        file.write(RECORD + b"6,815,5140909,-;fpga_region region0: ready\n")
        file.flush()
        assert log.configured() and not log.configured()
    log.close()
    log.close()
    assert not log.configured()


def test_lost_records_no_records_and_no_permission_are_no_errors(tmp_path, monkeypatch):
    path = tmp_path / "kmsg"
    path.write_bytes(b"")
    log = KernelLog(path)
    answers = [BrokenPipeError(), RECORD, BlockingIOError(), BlockingIOError(), OSError(5, "gone")]

    def read(fd, size):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(zynq_kernel.os, "read", read)
    assert log.configured() and not log.configured() and not log.configured() and not answers
    assert not log.configured()
    assert not KernelLog(tmp_path / "absent").configured()


def test_the_log_is_read_without_blocking(tmp_path):
    """As on a board, where a blocking read would wait for the next message of the kernel."""
    if not os.access("/dev/kmsg", os.R_OK):
        pytest.skip("/dev/kmsg cannot be read here")
    log = KernelLog()
    log.configured()
    log.close()
