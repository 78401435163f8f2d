"""`train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of lying and of standing bars, in class-named folders."""
    folder = tmp_path_factory.mktemp("pictures") / "bars"
    random = np.random.RandomState(2)
    for name in ("lying", "standing"):
        (folder / name).mkdir(parents=True)
        for index in range(40):
            pixels = np.zeros((28, 28), np.uint8)
            place = random.randint(6, 20)
            pixels[place : place + 3, 4:24] = random.randint(180, 256)
            Image.fromarray(pixels if name == "lying" else pixels.T).save(str(folder / name / f"{index}.png"))
    return folder


@pytest.mark.slow
def test_a_network_is_trained_on_a_folder_and_used(run: Any, bars: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    target = tmp_path / "bars-net"
    ran = run("train", "lfc", bars, "-o", target, "--epochs", 8, "--seed", 5, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["classes"] == ["lying", "standing"] and ran.json["overlays"] == ["bnn-pynq-lfc-w1a1"]
    assert ran.json["accuracy"]["test"] >= 0.8
    answer = run("classify", bars / "lying" / "0.png", "-n", target, "--board", "emulated", "--json").json
    assert answer["pictures"][0]["label"] == "lying"
    again = run("train", "lfc", bars, "-o", target, "--epochs", 1)
    assert again.code == 3 and str(target) in again.err


@pytest.mark.slow
def test_a_convolutional_network_is_trained_on_a_folder_and_used(run: Any, bars: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    target = tmp_path / "bars-net"
    arguments = ["train", "dorefa", bars, "-o", target, "--seed", 5, "--size", 28, 28, "--json"]
    ran = run(*arguments, "--epochs", 3)
    assert ran.code == 0, ran.err
    assert ran.json["classes"] == ["lying", "standing"] and ran.json["overlays"] == ["qnn-mo-w1a2"]
    assert ran.json["accuracy"]["test"] >= 0.8
    for board in ("cpu", "emulated"):
        answer = run("classify", bars / "lying" / "0.png", "-n", target, "--board", board, "--json").json
        assert answer["pictures"][0]["label"] == "lying" and answer["pictures"][0]["probability"] > 0.5
    ran = run(*arguments[:3], "-o", tmp_path / "other", "--precision", "w1a1")
    assert ran.code == 3 and "w1a2" in ran.err


def test_what_cannot_be_trained_on_is_refused(run: Any, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for source in (tmp_path / "nowhere", tmp_path):
        ran = run("train", "lfc", source, "-o", tmp_path / "net")
        assert ran.code == 3 and ran.err.count("\n") == 1 and not (tmp_path / "net").exists()
