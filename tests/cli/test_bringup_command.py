"""`bringup`."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from qnn_pynq.diagnosis.bringup import circuit, memories
from qnn_pynq.errors import WrongAnswerError

NAME = "lfc-w1a1-mnist"
QUICK = ("--board", "emulated", "--network", NAME, "--soak", "0")


def raising(error: BaseException) -> Any:
    def step(hour: Any) -> Any:
        raise error

    return step


def test_a_sound_board_is_told_step_by_step(run: Any, tmp_path: Path) -> None:
    ran = run("bringup", *QUICK, "-o", tmp_path / "hour.zip")
    assert ran.code == 0 and not ran.err
    assert "[ 3/" in ran.out and "identity: the circuit answers at its address" in ran.out
    assert "32 known pictures right" in ran.out and "all is well" in ran.out and str(tmp_path / "hour.zip") in ran.out
    assert (tmp_path / "hour.zip").is_file()


def test_json_is_the_report_of_the_file(run: Any, tmp_path: Path) -> None:
    ran = run("bringup", *QUICK, "-o", tmp_path / "hour.zip", "--json")
    found = ran.json
    assert ran.code == 0 and found.pop("file") == str(tmp_path / "hour.zip")
    with zipfile.ZipFile(str(tmp_path / "hour.zip")) as archive:
        assert json.loads(archive.read("report.json"))["ok"] is found["ok"] is True


def test_a_failed_step_is_the_exit_code_and_says_what_to_do(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit, "move_word", raising(WrongAnswerError("8 of 64 words")))
    ran = run("bringup", *QUICK, "-o", tmp_path / "hour.zip")
    assert ran.code == 1 and "one word failed: WrongAnswerError: 8 of 64 words\n  -> the path of S_AXI_HP0" in ran.out
    assert "skipped" in ran.out and "not all is well" in ran.out


def test_ctrl_c_leaves_a_file_and_says_so(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memories, "banks", raising(KeyboardInterrupt()))
    ran = run("bringup", *QUICK, "-o", tmp_path / "hour.zip")
    assert ran.code == 130 and "hour.zip has what was found up to here" in ran.err and (tmp_path / "hour.zip").is_file()


def test_the_steps_are_listed_without_a_board(run: Any) -> None:
    ran = run("bringup", "--list", "-n", NAME, "--board", "zynq")
    assert ran.code == 0 and ran.out.count("proves: ") == ran.out.count("if it fails: ") > 15
    found = run("bringup", "--list", "-n", NAME, "--json").json["steps"]
    assert {"machine", f"network {NAME}", "clock 125 MHz"} <= {step["name"] for step in found}


@pytest.mark.parametrize("arguments, code, text", [
    ((), 3, "no file to write: give one with --output"),
    (("-o", "there.zip"), 3, "is there already"),
    (("-o", "no/folder.zip"), 3, "cannot be written"),
    (("-o", "x.zip", "--overlay", "bnn-pynq-lfc-w1a1"), 3, "expected an engine's"),
    (("-o", "x.zip", "--overlay", "nothing"), 3, 'overlay "nothing" not found'),
    (("-o", "x.zip", "-n", "nothing"), 3, 'network "nothing" not found'),
    (("-o", "x.zip", "--soak", "-1"), 2, "no number of seconds"),
    (("-o", "x.zip", "--soak", "nan"), 2, "no number of seconds"),
    (("-o", "x.zip", "--board", "cpu"), 2, "invalid choice"),
])
def test_what_cannot_be_is_refused(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.zip").write_text("an earlier result")
    ran = run("bringup", "--board", "emulated", *arguments)
    assert ran.code == code and text in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["there.zip"]
