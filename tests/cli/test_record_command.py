"""`record`."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from qnn_pynq.diagnosis import recording
from qnn_pynq.diagnosis.recording import Recorded
from qnn_pynq.errors import DeadlineError

NAME = "dorefa-w1a2-cifar10"


def test_a_run_is_recorded_and_replayed(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "x.recording"
    ran = run("record", NAME, "--output", file, "--images", "2", "--board", "emulated")
    assert ran.code == 0 and "2 pictures" in ran.out and str(file) in ran.out and not ran.err
    again = run("replay", file)
    assert again.code == 0 and "modelled" in again.out and "all answers are right" in again.out
    ran = run("record", NAME, "-o", file, "--conservative", "--json").json
    assert ran["network"] == NAME and ran["pictures"] == 4 and ran["bytes"] == file.stat().st_size and not ran["error"]
    again = run("replay", file, "--json").json
    assert again["ok"] and again["header"]["conservative"] and again["twin"] == again["mismatches"] == []


@pytest.mark.parametrize("output", ["no/such/folder/x", ".", "device", ""])
def test_a_file_that_cannot_be_written_is_refused_before_the_run(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recording, "record", None)
    os.mkfifo("device")  # as root, -o /dev/null would have put a file in its place
    ran = run("record", NAME, "-o", output)
    assert ran.code == 3 and "cannot be written" in ran.err and stat.S_ISFIFO(os.stat("device").st_mode)


def test_a_file_must_be_named(run: Any) -> None:
    assert run("record", NAME).code == 2


def test_a_run_that_failed(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "record", lambda *_: Recorded(7, 1, 100, DeadlineError("no answer")))
    ran = run("record", NAME, "-o", tmp_path / "x")
    assert ran.code == 3 and "7 events" in ran.out and "no answer" in ran.err


def test_ctrl_c_leaves_a_file_and_says_so(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(recording, "_run", interrupted)
    ran = run("record", NAME, "-o", tmp_path / "x", "--board", "emulated")
    assert ran.code == 130 and "x has what was recorded up to there" in ran.err and (tmp_path / "x").is_file()
