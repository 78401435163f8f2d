"""The doctor on faked machines: a PC, PYNQ boards in several states, and broken ones."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from typing import Any

import pytest

from qnn_pynq import doctor, host
from qnn_pynq.host import Check, Host

STATUSES = {"ok", "info", "warn", "fail"}


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """Files of a PYNQ-Z1 with image 3.1, as far as the doctor looks at them."""
    return machine(
        tmp_path,
        {
            "proc/device-tree/chosen/pynq_board": "Pynq-Z1\0",
            "proc/device-tree/compatible": "digilent,pynq\0xlnx,zynq-7000\0",
            "proc/device-tree/model": "Pynq-Z1\0",
            "proc/meminfo": "MemAvailable: 301044 kB\nCmaTotal: 131072 kB\nCmaFree: 120000 kB\n",
            "sys/class/fpga_manager/fpga0/name": "Xilinx Zynq FPGA Manager\n",
            "sys/class/fpga_manager/fpga0/state": "operating\n",
        },
    )


def pynq_version(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    def answer(name: str) -> str:
        assert name == "pynq"
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", answer)


def test_every_check_answers_on_this_machine() -> None:
    checks = doctor.examine()
    assert len(checks) == len(doctor.CHECKS)
    for check in checks:
        assert check.status in STATUSES and check.name and check.value, check
        assert "report this" not in check.advice, check
    assert len({check.name for check in checks}) == len(checks)


def test_whatever_needs_attention_comes_with_advice(board: Path) -> None:
    for root in ("/", board):
        for check in doctor.examine(root, {}):
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

    monkeypatch.setattr(doctor, "CHECKS", (check_flux, doctor.check_python))
    broken, python = doctor.examine()
    assert broken == Check("flux", "fail", "RuntimeError: no flux", "please report this")
    assert python.status == "ok"


def test_a_board_is_recognised(board: Path) -> None:
    z1 = Host(board, {})
    assert z1.on_board and z1.zynq7000
    assert host.check_device_tree(z1) == Check("board name", "ok", "Pynq-Z1 (Pynq-Z1)", "")
    assert host.check_fpga_manager(z1).value == "Xilinx Zynq FPGA Manager, operating"
    assert host.check_cma(z1) == Check("contiguous memory", "ok", "117 MiB free of 128 MiB", "")
    assert host.check_memory(z1) == Check("free memory", "ok", "294 MiB", "")


@pytest.mark.parametrize(
    "version, status",
    [
        ("2.7.0", "ok"),
        ("3.1.2", "ok"),
        ("4.0.0", "warn"),
        ("4.0.0rc1", "warn"),
        ("2.6.2", "warn"),
        (None, "fail"),
    ],
)
def test_pynq_version_on_a_zynq_7000(
    board: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, status: str
) -> None:
    pynq_version(monkeypatch, version)
    assert host.check_pynq(Host(board, {})).status == status


def test_pynq_4_is_fine_on_a_pc_and_no_pynq_is_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pynq_version(monkeypatch, "4.0.0")
    assert host.check_pynq(Host(tmp_path, {})).status == "ok"
    pynq_version(monkeypatch, None)
    assert host.check_pynq(Host(tmp_path, {})).status == "info"


@pytest.mark.parametrize("uid, status", [(0, "ok"), (1000, "fail")])
def test_a_board_needs_root(board: Path, monkeypatch: pytest.MonkeyPatch, uid: int, status: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert host.check_root(Host(board, {})).status == status


def test_a_pc_needs_no_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert host.check_root(Host(tmp_path, {})).status == "info"


def test_xrt_environment(board: Path, tmp_path: Path) -> None:
    assert host.check_xrt(Host(board, {"XILINX_XRT": "/usr"})) == Check("XILINX_XRT", "ok", "/usr", "")
    missing = host.check_xrt(Host(board, {}))
    assert missing.status == "fail" and "xrt_setup.sh" in missing.advice
    assert host.check_xrt(Host(tmp_path / "elsewhere", {})).status == "info"


def test_little_contiguous_memory_is_a_warning_and_none_a_failure(board: Path) -> None:
    machine(board, {"proc/meminfo": "CmaTotal: 131072 kB\nCmaFree: 1024 kB\n"})
    assert host.check_cma(Host(board, {})).status == "warn"
    machine(board, {"proc/meminfo": "MemAvailable: 20000 kB\n"})
    assert host.check_cma(Host(board, {})).status == "fail"
    assert host.check_memory(Host(board, {})).status == "warn"


def test_a_board_without_fpga_manager_fails(board: Path) -> None:
    for name in ("name", "state"):
        (board / "sys/class/fpga_manager/fpga0" / name).unlink()
    (board / "sys/class/fpga_manager/fpga0").rmdir()
    assert host.check_fpga_manager(Host(board, {})).status == "fail"


def test_another_board_and_an_unnamed_zynq_are_warned_of(board: Path) -> None:
    machine(board, {"proc/device-tree/chosen/pynq_board": "ZCU104\0"})
    assert "Pynq-Z1" in host.check_device_tree(Host(board, {})).advice
    (board / "proc/device-tree/chosen/pynq_board").unlink()
    assert "BOARD=" in host.check_device_tree(Host(board, {})).advice
    assert host.check_device_tree(Host(board, {"BOARD": "Pynq-Z2"})).status == "ok"


def test_a_board_of_another_family_is_no_failure(tmp_path: Path) -> None:
    files = {
        "proc/device-tree/chosen/pynq_board": "ZCU104\0",
        "proc/device-tree/compatible": "xlnx,zynqmp\0",
        "sys/class/fpga_manager/fpga0/name": "Xilinx ZynqMP FPGA Manager\n",
    }
    checks = {check.name: check for check in doctor.examine(machine(tmp_path, files), {})}
    assert not [check for check in checks.values() if check.status == "fail"]
    assert checks["board name"].status == "warn" and "emulated" in checks["board"].value


def test_a_forced_instruction_set_is_pointed_out() -> None:
    assert doctor.check_kernels(Host("/", {"QNN_PYNQ_ISA": "scalar"})).status == "warn"
    assert "QNN_PYNQ_ISA" not in doctor.check_kernels(Host("/", {})).value


def test_missing_and_old_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._module("numpy", "no_such_module_at_all", "1", "x").status == "fail"
    fake: Any = type("Fake", (), {"__version__": "1.16.0"})
    monkeypatch.setattr(doctor, "import_module", lambda name: fake)
    assert doctor.check_numpy(Host()).status == "warn"


@pytest.mark.parametrize(
    "text, numbers",
    [
        ("1.17.4", (1, 17, 4)),
        ("4.0.0rc1", (4, 0, 0)),
        ("2.0", (2, 0)),
        ("dev", ()),
        ("3.1.2.post1", (3, 1, 2)),
    ],
)
def test_versions_are_compared_by_their_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert host.numbers(text) == numbers


def test_an_unwritable_cache_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "deep" / "cache"))
    assert doctor.check_cache(Host()).status == "ok"
    assert not (tmp_path / "deep").exists(), "a check must not make the folder"
    file = tmp_path / "file"
    file.write_text("in the way")
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(file / "cache"))
    check = doctor.check_cache(Host())
    assert check.status == "warn" and "QNN_PYNQ_CACHE" in check.advice


@pytest.mark.parametrize(
    "text, words",
    [
        ("<EDKSYSTEM><MODULES><MODULE INSTANCE='other'/></MODULES></EDKSYSTEM>", "no module"),
        ("<EDKSYSTEM>", "cannot be parsed"),
    ],
)
def test_a_wrong_hwh_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str) -> None:
    from qnn_pynq import catalogue

    path = tmp_path / "x.hwh"
    path.write_text(text)
    monkeypatch.setattr(catalogue, "overlay_files", lambda overlay: {"hwh": path})
    check = doctor.check_hwh(Host())
    assert check.status == "warn" and words in check.value and "overlays fetch" in check.advice


def test_networks_are_named_with_their_accuracy_and_broken_ones_with_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = doctor.check_networks(Host("/", {}))
    assert check.status == "ok" and "dorefa-w1a2-imagenette (85.38 %)" in check.value
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "network.json").write_text("{")
    monkeypatch.setenv("QNN_PYNQ_PATH", str(tmp_path))
    check = doctor.check_networks(Host("/", {}))
    assert check.status == "warn" and check.advice and check.value.startswith("mine: ")
    assert "lfc-w1a1-mnist (99.09 %)" in check.value
