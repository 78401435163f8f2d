"""The demo pictures: complete, small, drawn by the tool that is committed, readable by every network."""
from __future__ import annotations

import collections
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import small
from PIL import Image

from qnn_pynq import demo
from qnn_pynq.errors import NotFoundError
from qnn_pynq.pictures.prepare import prepare

TOOLS = Path(__file__).resolve().parent.parent / "tools"


@pytest.fixture(scope="module")
def tool():
    pytest.importorskip("matplotlib")
    sys.path.insert(0, str(TOOLS))
    try:
        yield importlib.import_module("draw_demo")
    finally:
        sys.path.remove(str(TOOLS))


@pytest.mark.parametrize("dataset", demo.DATASETS)
def test_ten_pictures_of_each_class(dataset):
    pairs = demo.pictures(dataset)
    counts = collections.Counter(label for _, label in pairs)
    assert len(counts) == 10 and set(counts.values()) == {10}
    assert all(path.is_file() for path, _ in pairs)


def test_they_are_small_and_nothing_lies_about():
    named = {path for dataset in demo.DATASETS for path, _ in demo.pictures(dataset)}
    folder = Path(demo.__file__).parent
    assert named == set(folder.glob("*.png"))
    assert sum(path.stat().st_size for path in named) < 600_000


def test_simple_names_exist():
    names = {path.name: label for d in demo.DATASETS for path, label in demo.pictures(d)}
    assert names["boot.png"] == "Ankle boot" and names["three.png"] == "3"


def test_every_one_can_be_prepared():
    for dataset, spec in (("mnist", small.SPEC), ("fashion-mnist", small.CLOTHES)):
        for path, _ in demo.pictures(dataset):
            result = prepare(path, spec)
            assert result[0, 0] < 60 and result.max() > 200


def test_unknown_data_set():
    with pytest.raises(NotFoundError, match="cifar"):
        demo.pictures("cifar10")


def test_the_tool_draws_what_is_committed(tool):
    wanted = {path.name: path for d in demo.DATASETS for path, _ in demo.pictures(d)}
    count = 0
    for k, (_, _, file, picture) in enumerate(tool.drawings()):
        if k % 23 == 0:
            committed = np.asarray(Image.open(wanted[file]).convert("RGB")).astype(int)
            drawn = np.asarray(picture.convert("RGB")).astype(int)
            assert np.abs(drawn - committed).mean() < 6, file  # 32 colours, and another Pillow may round
            count += 1
        if count == 5:
            break
