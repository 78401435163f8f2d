"""As a user of a board who is not root: what needs no FPGA works, what needs it says why it does not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from faked_host import Z1, machine

from qnn_pynq.boards.zynq import device as zynq_device

LFC = "lfc-w1a1-mnist"


@pytest.fixture(autouse=True)
def user_on_a_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zynq_device, "ROOT", machine(tmp_path / "root", Z1))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XILINX_XRT", "/usr")
    assert zynq_device.fpga_present()


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor"],
        ["networks", "list"],
        ["networks", "show", LFC],
        ["networks", "path", LFC],
        ["overlays", "list"],
        ["overlays", "show", "bnn-pynq-lfc-w1a1"],
        ["classify", "PICTURE", "-n", LFC, "--board", "emulated"],
        ["classify", "PICTURE", "-n", LFC, "--board", "cpu"],
        ["selftest", LFC, "--board", "cpu", "--board", "emulated"],
        ["profile", "dorefa-w1a2-cifar10", "--board", "emulated", "--repeats", "1"],
        ["record", "dorefa-w1a2-cifar10", "--board", "emulated", "-o", "FILE"],
    ],
    ids=" ".join,
)
def test_these_need_no_root(run: Any, picture: Path, tmp_path: Path, arguments: list[str]) -> None:
    names = {"PICTURE": str(picture), "FILE": str(tmp_path / "file")}
    ran = run(*[names.get(word, word) for word in arguments])
    assert ran.code == 0, ran


@pytest.mark.parametrize(
    "arguments",
    [
        ["classify", "PICTURE", "-n", LFC],
        ["classify", "PICTURE", "-n", LFC, "--board", "zynq"],
        ["profile", LFC],
        ["record", LFC, "-o", "FILE"],
        ["benchmark", LFC, "--images", "8"],
    ],
    ids=" ".join,
)
def test_these_say_that_the_fpga_needs_root_and_what_does_not(
    run: Any, picture: Path, tmp_path: Path, arguments: list[str]
) -> None:
    names = {"PICTURE": str(picture), "FILE": str(tmp_path / "file")}
    ran = run(*[names.get(word, word) for word in arguments])
    assert ran.code == 3 and "needs root" in ran.err and "sudo -i" in ran.err, ran
    assert "--board emulated needs neither the FPGA nor root" in ran.err
    assert not (tmp_path / "file").exists()


def test_the_selftest_runs_what_it_can_and_says_what_it_could_not(run: Any) -> None:
    ran = run("selftest", LFC, "--json")
    results = {(o["board"], o["mode"]): o for o in ran.json["outcomes"]}
    assert ran.code == 3 and "needs root" in results["zynq", "fast"]["note"]
    assert results["cpu", "kernels"]["result"] == results["emulated", "fast"]["result"] == "ok"
