"""The page about streams: its examples run, its numbers and names are the code's."""
from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qnn_pynq import Classifier, StreamOverlay, errors
from qnn_pynq.cli import main
from qnn_pynq.errors import InputError
from qnn_pynq.streams import load_description

PAGE = Path(__file__).resolve().parents[2] / "docs" / "streams.md"


def blocks(language: str) -> list:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)


def test_the_tutorial_runs_as_it_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("iris.json").write_text(blocks("json")[0])
    code, _ = blocks("python")
    names: dict = {}
    exec(compile(code, "docs/streams.md", "exec"), names)  # the page's own example
    assert names["scores"].shape == (150, 3) and names["one"].shape == (3,) and names["scores"].dtype == np.float32
    (command,) = re.findall(r"^    qnn-pynq (interface .*)$", PAGE.read_text(encoding="utf-8"), re.M)
    assert main(command.split()) == 0
    step = PAGE.read_text(encoding="utf-8").split("## 3.")[1].split("## 4.")[0]
    files = re.findall(r"^\| `([a-z_.]+)` \|", step, re.M)
    assert sorted(path.name for path in (tmp_path / "iris").iterdir()) == sorted(files)


def test_the_refusals_are_quoted_rightly(tmp_path):
    rows = re.findall(r"^\| `circuit\((.*?)\)` \| `(.*?)` \|$", PAGE.read_text(encoding="utf-8"), re.M)
    assert len(rows) == 3
    with StreamOverlay(json.loads(blocks("json")[0]), board="emulated", twin=lambda x: x[:3]) as circuit:
        for argument, answer in rows:
            with pytest.raises(InputError) as caught:
                circuit([float(number) for number in re.findall("nan|[0-9.]+", argument)])
            assert str(caught.value).startswith(answer[:-4] if answer.endswith(" ...") else answer)


def test_every_description_on_the_page_is_read_and_every_error_is_there():
    for text in blocks("json"):
        load_description(json.loads(text))
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"\bDma[A-Z]\w+", text))
    assert named and all(hasattr(errors, name) for name in named)
    assert all(name in text for name in errors.__all__ if name.startswith("Dma") and name != "DmaError")


def test_the_network_on_a_circuit_runs_as_it_is_written(tmp_path, monkeypatch, capsys):
    _, code = blocks("python")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "blocks").mkdir()
    for name in ("blocks.bit", "blocks.hwh"):
        (tmp_path / "blocks" / name).write_bytes(b"not looked into on the emulated board")
    pictures = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    Image.fromarray(pictures[0]).save("photo.jpg")
    names: dict = {}
    exec(compile(code, "docs/streams.md", "exec"), names)  # the page's own example
    where = dict(re.findall(r"^(\w+(?: to \w+)?) +(software tail|software|overlay)\b", capsys.readouterr().out, re.M))
    assert (where["conv0"], where["conv1 to conv6"], where["fc0"]) == ("software", "overlay", "software tail")
    with Classifier("photos", board="emulated", overlay="blocks") as board, Classifier("photos", board="cpu") as cpu:
        assert np.array_equal(board.decision_function(pictures), cpu.decision_function(pictures))
    monkeypatch.setenv("QNN_PYNQ_PATH", str(tmp_path))
    assert main(["selftest", "photos", "--board", "emulated"]) == 0
