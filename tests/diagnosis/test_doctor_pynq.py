"""Each thing that can be wrong with pynq and around it is named, with its remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from faked_host import machine, pc, z1

from qnn_pynq.diagnosis.host import Check
from qnn_pynq.diagnosis.pynq import (
    check_numpy_for_pynq,
    check_pycparser,
    check_pynq,
    check_pynq_state,
    check_remote,
    check_root,
    check_xrt,
)


def test_a_board_needs_root_and_says_what_works_without(tmp_path: Path) -> None:
    host = z1(tmp_path)
    assert check_root(host) == Check("root", "ok", "root", "")
    host.uid = 1000
    found = check_root(host)
    assert found.status == "fail" and "sudo -i" in found.advice and "--board emulated" in found.advice
    assert check_root(pc(tmp_path / "pc")).status == "info"


def test_xilinx_xrt_not_set(tmp_path: Path) -> None:
    assert check_xrt(z1(tmp_path)) == Check("XILINX_XRT", "ok", "/usr", "")
    found = check_xrt(z1(tmp_path, environ={}))
    assert found.status == "fail" and "xrt_setup.sh" in found.advice
    assert check_xrt(pc(tmp_path / "pc")).status == "info"


@pytest.mark.parametrize("pynq, status", [("2.7.0", "fail"), ("3.0.1", "fail"), ("3.1.2", "ok")])
def test_xilinx_xrt_without_the_library_that_pynq_up_to_3_0_loads(tmp_path: Path, pynq: str, status: str) -> None:
    host = z1(tmp_path, environ={"XILINX_XRT": "/opt/xrt"}, versions={"pynq": pynq})
    assert check_xrt(host).status == status
    assert status == "ok" or "XILINX_XRT=/usr" in check_xrt(host).advice


def test_pynq_missing_in_another_python_than_the_image_s(tmp_path: Path) -> None:
    host = z1(tmp_path, versions={})
    assert check_pynq(host).status == "fail" and "not the image's" not in check_pynq(host).value
    host.prefix = "/home/xilinx/.venv"
    found = check_pynq(host)
    assert found.status == "fail" and "/home/xilinx/.venv), which is not the image's" in found.value
    assert "pynq-venv/bin/python3" in found.advice
    assert check_pynq(pc(tmp_path / "pc")).status == "info"


@pytest.mark.parametrize(
    "kernel, version, status, advice",
    [
        ("5.4.0-xilinx-v2020.2", "2.7.0", "ok", ""),
        ("5.15.19-xilinx-v2022.1", "3.0.1", "ok", ""),
        ("6.6.10-xilinx-v2024.1", "3.1.2", "ok", ""),
        ("5.15.0-own", "3.1.2", "ok", ""),
        ("6.6.10-xilinx-v2024.1", "4.0.0", "warn", "pynq==3.1.2"),
        ("5.15.19-xilinx-v2022.1", "4.0.0rc1", "warn", "pynq==3.0.1"),
        ("5.15.0-own", "4.0.0", "warn", "write the image"),
        ("5.15.19-xilinx-v2022.1", "3.1.2", "warn", "pynq==3.0.1"),  # upgraded
        ("5.4.0-xilinx-v2020.1", "2.6.2", "warn", "2.7"),
    ],
)
def test_wrong_release_of_pynq_on_an_image(
    tmp_path: Path, kernel: str, version: str, status: str, advice: str
) -> None:
    files = {"proc/sys/kernel/osrelease": kernel}
    found = check_pynq(z1(tmp_path, files, versions={"pynq": version}))
    assert found.status == status and advice in found.advice
    assert status == "ok" or found.advice


def test_pynq_without_the_packages_that_it_imports(tmp_path: Path) -> None:
    host = z1(tmp_path)
    host.companions = ["pynqmetadata"]
    found = check_pynq(host)
    assert found.status == "fail" and found.value == "3.1.2 without pynqutils" and found.advice.endswith(" pynqutils")
    host.versions["pynq"] = "2.7.0"  # which has them inside
    assert "without" not in check_pynq(host).value


def test_pynq_4_is_fine_on_a_pc(tmp_path: Path) -> None:
    assert check_pynq(pc(tmp_path, versions={"pynq": "4.0.0"})).status == "ok"


@pytest.mark.parametrize("version, status", [({}, "warn"), ({"pynq": "3.0.1"}, "warn"), ({"pynq": "4.0.0"}, "ok")])
def test_a_board_elsewhere_needs_a_pynq_that_can(tmp_path: Path, version: dict[str, str], status: str) -> None:
    found = check_remote(pc(tmp_path, environ={"PYNQ_REMOTE_DEVICES": "192.0.2.1"}, versions=version))
    assert found.status == status and "192.0.2.1" in found.value and ("3.1" in found.advice) == (status == "warn")
    assert check_remote(pc(tmp_path)).status == "info"


@pytest.mark.parametrize("version, status", [("2.19", "ok"), ("2.23", "ok"), ("3.0", "fail")])
def test_pycparser_3_beside_pynq(tmp_path: Path, version: str, status: str) -> None:
    versions = {"pynq": "3.1.2", "pycparser": version}
    found = check_pycparser(z1(tmp_path, versions=versions))
    assert found.status == status and ("pycparser<3" in found.advice) == (status == "fail")
    assert check_pycparser(pc(tmp_path / "pc", versions={"pycparser": "3.0"})).status == "info"
    assert check_pycparser(pc(tmp_path / "pc", versions={"pynq": "3.1.2", "pycparser": "3.0"})).status == "warn"


@pytest.mark.parametrize("version, status", [("1.21.5", "ok"), ("2.0.0", "warn"), ("2.4.6", "warn")])
def test_numpy_2_beside_pynq(tmp_path: Path, version: str, status: str) -> None:
    found = check_numpy_for_pynq(z1(tmp_path, versions={"pynq": "3.0.1", "numpy": version}))
    assert found.status == status and ("uninstall numpy" in found.advice) == (status == "warn")
    assert check_numpy_for_pynq(pc(tmp_path / "pc", versions={"numpy": "2.4.6"})).status == "info"


GOOD_STATE = '{"bitfile_name": "/x/base.bit", "active_name": "", "timestamp": ""}'


def state_files(root: Path, text: str = GOOD_STATE) -> Path:
    machine(root, {"packages/pynq/pl_server/global_pl_state_.json": text})
    machine(root, {"packages/pynq/pl_server/_current_metadata.pkl": "x"})
    return root / "packages/pynq/pl_server"


def test_state_files_that_pynq_can_write_are_fine(tmp_path: Path) -> None:
    folder = state_files(tmp_path)
    assert check_pynq_state(z1(tmp_path)) == Check("pynq's state files", "ok", f"2 in {folder}", "")
    assert check_pynq_state(z1(tmp_path, versions={"pynq": "2.7.0"})).status == "info"
    assert check_pynq_state(pc(tmp_path)).status == "info"


@pytest.mark.parametrize("name", ["", "global_pl_state_.json", "_current_metadata.pkl"])
@pytest.mark.parametrize("uid, advice", [(1000, "sudo -i"), (0, "read-only")])
def test_state_files_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, uid: int, advice: str
) -> None:
    closed = str(state_files(tmp_path) / name)
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed)  # root may write whatever chmod says
    host = z1(tmp_path)
    host.uid = uid
    found = check_pynq_state(host)
    assert found.status == "warn" and closed in found.value and advice in found.advice


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"bit', "3", 100000 * "["], ids=range(7))
def test_state_files_that_a_power_cut_damaged(tmp_path: Path, text: str) -> None:
    folder = state_files(tmp_path, text)
    found = check_pynq_state(z1(tmp_path))
    assert found.status == "fail" and "rm {}".format(folder / "global_pl_state_.json") in found.advice
    assert str(folder / "_current_metadata.pkl") in found.advice
