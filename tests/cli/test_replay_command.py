"""`replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qnn_pynq.diagnosis import recording
from qnn_pynq.diagnosis.recording import Replayed

NAME = "dorefa-w1a2-cifar10"


def test_an_own_network_is_replayed_by_its_folder(run: Any, random_network: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.recording"
    assert run("record", random_network, "-o", file, "--images", "1").code == 0
    ran = run("replay", file)
    assert ran.code == 3 and "random-lfc" in ran.err
    assert run("replay", file, "--network", random_network).code == 0


def test_no_recording(run: Any, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")
    ran = run("replay", tmp_path / "x")
    assert ran.code == 3 and "is no recording" in ran.err
    assert run("replay", tmp_path / "y").code == 3


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
