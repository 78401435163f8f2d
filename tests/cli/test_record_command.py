"""`record` and `replay`."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from qnn_pynq.diagnosis import recording
from qnn_pynq.diagnosis.recording import Recorded, Replayed
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


def test_an_own_network_is_replayed_by_its_folder(run: Any, random_network: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.recording"
    assert run("record", random_network, "-o", file, "--images", "1").code == 0
    ran = run("replay", file)
    assert ran.code == 3 and "random-lfc" in ran.err
    assert run("replay", file, "--network", random_network).code == 0


@pytest.mark.parametrize("output", ["no/such/folder/x", ".", "device", ""])
def test_a_file_that_cannot_be_written_is_refused_before_the_run(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recording, "record", None)
    os.mkfifo("device")  # as root, -o /dev/null would have put a file in its place
    ran = run("record", NAME, "-o", output)
    assert ran.code == 3 and "cannot be written" in ran.err and stat.S_ISFIFO(os.stat("device").st_mode)


def test_no_recording(run: Any, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")
    ran = run("replay", tmp_path / "x")
    assert ran.code == 3 and "is no recording" in ran.err
    assert run("replay", tmp_path / "y").code == 3
    assert run("record", NAME).code == 2, "a file must be named"


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


def test_differences_are_printed_and_exit_code_1(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = {"network": {"name": NAME}, "board": "Pynq-Z1", "image": "3.1", "pynq": "3.1.2", "emulated": False}
    wrong = [{"picture": 4, "expected": "0x1", "got": "0x2"}]
    found = Replayed(header, 30, 5, {"single": 0.001}, wrong, ["event 3, buffer 1: so"])
    monkeypatch.setattr(recording, "replay", lambda *_: found)
    ran = run("replay", tmp_path / "x")
    assert ran.code == 1 and "Pynq-Z1, image 3.1, pynq 3.1.2" in ran.out and "measured" in ran.out
    assert "picture 4: expected 0x1, the board answered 0x2" in ran.out and "event 3, buffer 1: so" in ran.out
    ran = run("replay", tmp_path / "x", "--json")
    assert ran.code == 1 and ran.json["ok"] is False
