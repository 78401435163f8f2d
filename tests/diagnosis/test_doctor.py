"""The doctor as a whole: every check answers, whatever the machine, and a healthy one has nothing to complain of."""

from __future__ import annotations

from pathlib import Path

import pytest
from faked_host import PYNQ_ENVIRON, Z1, machine, pc, z1

from qnn_pynq.diagnosis import doctor
from qnn_pynq.diagnosis.board import check_board
from qnn_pynq.diagnosis.host import Check, Host
from qnn_pynq.diagnosis.overlays import check_overlays
from qnn_pynq.diagnosis.software import check_cache, check_entry_points, check_kernels

STATUSES = {"ok", "info", "warn", "fail"}
# What a folder cannot stand for: this machine's installation, and a device to open.
REAL = {check_board, check_overlays, check_kernels, check_entry_points, check_cache}


def test_every_check_answers_on_this_machine() -> None:
    checks = doctor.examine()
    assert len(checks) == len(doctor.CHECKS)
    for check in checks:
        assert check.status in STATUSES and check.name and check.value, check
        assert "report this" not in check.advice, check
    assert len({check.name for check in checks}) == len(checks)


def test_a_healthy_board_has_nothing_to_complain_of(tmp_path: Path) -> None:
    host = z1(tmp_path)
    for check in doctor.CHECKS:
        if check not in REAL:
            assert check(host).status in ("ok", "info"), check(host)


def test_a_pc_has_nothing_to_complain_of(tmp_path: Path) -> None:
    for check in doctor.CHECKS:
        if check not in REAL:
            assert check(pc(tmp_path)).status in ("ok", "info"), check(pc(tmp_path))


def test_whatever_needs_attention_comes_with_advice(tmp_path: Path) -> None:
    board = machine(tmp_path / "board", Z1)
    for root, environ in (("/", {}), (board, {}), (board, PYNQ_ENVIRON), (tmp_path / "none", {})):
        for check in doctor.examine(root, environ):
            assert check.advice or check.status in ("ok", "info"), check


def test_nothing_is_wrong_with_a_machine_without_proc(tmp_path: Path) -> None:
    checks = {check.name: check for check in doctor.examine(tmp_path, {})}
    assert not [check for check in checks.values() if check.status == "fail"]
    assert checks["board"].status == "info" and "emulated" in checks["board"].value
    assert checks["contiguous memory"].status == "info"
    assert "PC" in checks["board name"].value


def test_a_check_that_breaks_is_reported_and_the_rest_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_flux(host: Host) -> Check:
        raise RuntimeError("no flux")

    monkeypatch.setattr(doctor, "CHECKS", (check_flux, doctor.CHECKS[0]))
    broken, package = doctor.examine()
    assert broken == Check("flux", "fail", "RuntimeError: no flux", "please report this")
    assert package.status == "ok"


def test_a_board_of_another_family_is_no_failure(tmp_path: Path) -> None:
    files = {
        "proc/device-tree/chosen/pynq_board": "ZCU104\0",
        "proc/device-tree/compatible": "xlnx,zynqmp\0",
        "sys/class/fpga_manager/fpga0/name": "Xilinx ZynqMP FPGA Manager\n",
    }
    checks = {check.name: check for check in doctor.examine(machine(tmp_path, files), {})}
    assert not [check for check in checks.values() if check.status == "fail"]
    assert checks["board name"].status == "warn" and "emulated" in checks["board name"].advice
