"""Parts of the training library that need no torch: idx files, splits, encoding, decode rule, sources."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from qnn_pynq.errors import InputError, MissingDependencyError
from qnn_pynq.networks import Encoding, InputSpec
from qnn_pynq.train import data
from qnn_pynq.train.decode import choose_levels, decode, temperature
from qnn_pynq.train.lfc.encoding import Table, encode, grid, plain
from qnn_pynq.train.lfc.integer import words_to_classes
from qnn_pynq.train.source import read_source, split_by_class, threshold_of

SPEC = InputSpec((8, 8), 1, "as-is", None, Encoding("threshold", threshold=128))


def test_unknown_data_set_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="fashion-mnist, mnist"):
        data.load_dataset("digits", "train")


def test_split_is_seeded_and_loses_nothing() -> None:
    whole = data.DataSet(np.arange(50 * 4, dtype=np.uint8).reshape(50, 2, 2), np.arange(50), ("a",))
    first, second = data.split(whole, 10, 3)
    assert sorted(np.concatenate([first.labels, second.labels])) == list(range(50)) and len(second.labels) == 10
    assert (data.split(whole, 10, 3)[1].labels == second.labels).all()


def test_encoding_is_at_least_the_threshold_and_pads_with_zero() -> None:
    picture = np.array([[0, 127, 128, 255]], np.uint8)
    assert encode(picture, plain(128, 4), 6).tolist() == [[0, 0, 1, 1, 0, 0]]
    table = Table(np.array([3, 1, 1], np.uint16), np.array([255, 127, 128], np.uint8))
    assert encode(picture, table, 4).tolist() == [[1, 1, 0, 0]]


@given(st.integers(1, 128), st.integers(1, 128))
def test_a_grid_fits_the_inputs_and_the_picture(height: int, width: int) -> None:
    table = grid(100, height, width)
    assert 1 <= len(table.pixels) <= 832 and table.pixels.max() < height * width
    assert len(set(table.pixels.tolist())) == len(table.pixels)


@given(st.integers(0, 2**32 - 1), st.integers(2, 10), st.integers(1, 6))
def test_decode_is_the_highest_fired_neuron(seed: int, classes: int, levels: int) -> None:
    random = np.random.RandomState(seed)
    sums = random.randint(-9, 10, (20, classes)).astype(np.float64)
    borders = np.sort(random.randint(-9, 10, levels)).astype(np.float64)
    fired = (sums[:, None, :] >= borders[None, :, None]).reshape(20, -1)
    fired = np.concatenate([fired, np.ones((20, 2), bool)], axis=1)  # unused neurons do not count
    assert (decode(sums, borders) == words_to_classes(fired.astype(np.int8), classes, levels)).all()


def test_level_borders_separate_what_can_be_separated() -> None:
    random = np.random.RandomState(1)
    labels = random.randint(0, 5, 400)
    sums = random.normal(0, 10, (400, 5))
    sums[np.arange(400), labels] += 100
    borders, accuracy = choose_levels(sums, labels, 6)
    assert accuracy == 1.0 and (np.diff(borders) >= 0).all()


def test_temperature_is_small_for_random_margins_and_large_for_true_ones() -> None:
    random = np.random.RandomState(1)
    labels = random.randint(0, 4, 300)
    margins = random.normal(0, 10, (300, 4))
    assert temperature(margins, labels) < 0.05
    margins[np.arange(300), labels] += 100
    assert temperature(margins, labels) > 0.1


def test_otsu_parts_two_greys() -> None:
    pictures = np.where(np.arange(64).reshape(1, 8, 8) % 3 == 0, 200, 40).astype(np.uint8)
    assert 40 < threshold_of(pictures) <= 200
    assert 1 <= threshold_of(np.zeros((1, 8, 8), np.uint8)) <= 255


def test_split_by_class_keeps_every_class_on_both_sides() -> None:
    labels = np.array([0] * 2 + [1] * 40)
    whole = data.DataSet(np.zeros((42, 2, 2), np.uint8), labels, ("a", "b"))
    rest, part = split_by_class(whole, 0.1, 0)
    assert np.bincount(rest.labels).tolist() == [1, 36] and np.bincount(part.labels).tolist() == [1, 4]


def test_without_torch_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "qnn_pynq.train._torch", raising=False)
    with pytest.raises(MissingDependencyError, match=r"pip install qnn-pynq\[train\]"):
        importlib.import_module("qnn_pynq.train._torch")


# -- sources --------------------------------------------------------------------------------------------


def folder(base: Path, classes: int = 2, pictures: int = 2) -> Path:
    for c in range(classes):
        (base / f"c{c:02d}").mkdir(parents=True)
        for i in range(pictures):
            Image.new("L", (8, 8), 60 * i).save(str(base / f"c{c:02d}" / f"{i}.png"))
    return base


def test_folders_are_classes_in_order_and_other_files_are_skipped(tmp_path: Path) -> None:
    source = folder(tmp_path / "s", 3)
    (source / "c00" / "notes.txt").write_text("x")
    (source / ".hidden").mkdir()
    found, test = read_source(source, SPEC)
    assert found.classes == ("c00", "c01", "c02") and found.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.pictures.shape == (6, 8, 8) and found.pictures.dtype == np.uint8 and test is None


@pytest.mark.parametrize("classes, message", [(0, "no class"), (1, "at least 2"), (65, "at most 64")])
def test_class_count_is_2_to_64(tmp_path: Path, classes: int, message: str) -> None:
    source = folder(tmp_path / "s", classes, 1)
    source.mkdir(exist_ok=True)
    with pytest.raises(InputError, match=message):
        read_source(source, SPEC)


def test_bad_pictures_and_empty_classes_are_named(tmp_path: Path) -> None:
    source = folder(tmp_path / "s")
    (source / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        read_source(source, SPEC)
    (source / "empty" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.png"):
        read_source(source, SPEC)
    with pytest.raises(InputError, match="no such"):
        read_source(tmp_path / "missing", SPEC)


@pytest.mark.parametrize("name", [b"a\xff", b"\x1b[31mred", b"two\nlines"])
def test_class_folders_that_no_network_can_name_are_refused(tmp_path: Path, name: bytes) -> None:
    source = folder(tmp_path / "s")
    os.rename(os.fsencode(str(source / "c01")), os.fsencode(str(source)) + b"/" + name)
    with pytest.raises(InputError, match="class name .* has control characters or is not UTF-8: give"):
        read_source(source, SPEC)


@pytest.mark.parametrize("labels, classes, problem", [
    ([0, 1, 0, 1], ["a", "a"], "'a' is there twice"),
    ([0, 1, 0, 1], ["a", ""], "'' is empty"),
    ([0, 1, 0, 1], ["a", "b\x07"], "'b.x07' has control"),
    (["a", "", "a", ""], None, "'' is empty"),
    ([b"\xff", b"\xfe"] * 2, None, "'.ufffd' is there twice"),
])
def test_class_names_of_an_npz_are_different_and_not_empty(
    tmp_path: Path, labels: list[object], classes: list[str] | None, problem: str
) -> None:
    arrays = {"x": np.zeros((4, 8, 8), np.uint8), "y": np.array(labels)}
    if classes is not None:
        arrays["classes"] = np.array(classes)
    np.savez(str(tmp_path / "a.npz"), **arrays)
    with pytest.raises(InputError, match="a.npz: class name " + problem):
        read_source(tmp_path / "a.npz", SPEC)


def test_a_plain_array_is_no_archive(tmp_path: Path) -> None:
    np.save(str(tmp_path / "some.npy"), np.zeros((4, 8, 8), np.uint8))
    with pytest.raises(InputError, match=r"some.npy: .*one array of shape \(4, 8, 8\), expected an archive"):
        read_source(tmp_path / "some.npy", SPEC)


def test_one_picture_of_a_class_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 picture"):
        read_source(folder(tmp_path / "s", 2, 1), SPEC)


def test_npz_takes_names_integers_and_a_test_part(tmp_path: Path) -> None:
    x = np.zeros((4, 8, 8), np.uint8)
    np.savez(str(tmp_path / "a.npz"), x=x, y=np.array(["b", "a", "b", "a"]))
    found, _ = read_source(tmp_path / "a.npz", SPEC)
    assert found.classes == ("a", "b") and found.labels.tolist() == [1, 0, 1, 0]
    np.savez(str(tmp_path / "b.npz"), x_train=x, y_train=[7, 9, 7, 9], x_test=x[:1], y_test=[9])
    found, test = read_source(tmp_path / "b.npz", SPEC)
    assert found.classes == ("7", "9") and test is not None and test.labels.tolist() == [1]
    np.savez(str(tmp_path / "c.npz"), images=x, labels=[0, 1, 0, 1], classes=np.array(["up", "down"]))
    assert read_source(tmp_path / "c.npz", SPEC)[0].classes == ("up", "down")


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.zeros((3, 8, 8), np.uint8), "y": np.array([0, 1])},
        {"x": np.zeros((2, 8, 8), np.uint8), "y": np.array([0, 1], object)},
        {"x": np.zeros((4, 8, 8), np.uint8), "y": np.array([0.5, 1, 0, 1])},
        {"x": np.zeros((4, 8, 8), np.uint8), "y": np.array([1, 1, 1, 1])},
        {"x": np.zeros((4, 8, 8), np.uint8), "y": np.array([0, 1, 0, 2]), "classes": np.array(["a", "b"])},
        {"x": np.full((4, 8, 8), np.nan), "y": np.array([0, 1, 0, 1])},
        {
            "x_train": np.zeros((4, 8, 8), np.uint8),
            "y_train": np.array([0, 1, 0, 1]),
            "x_test": np.zeros((1, 8, 8), np.uint8),
            "y_test": np.array([5]),
        },
        {"x": np.zeros((0, 8, 8), np.uint8), "y": np.zeros(0, int)},
        {"z": np.zeros(3)},
    ],
)
def test_npz_that_does_not_fit_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(str(tmp_path / "bad.npz"), **arrays)
    with pytest.raises(InputError):
        read_source(tmp_path / "bad.npz", SPEC)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 cut off", b"text"])
def test_a_file_that_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.npz"):
        read_source(tmp_path / "bad.npz", SPEC)


def test_a_damaged_npz_is_refused(tmp_path: Path) -> None:
    noise = np.random.RandomState(0).randint(0, 30, (50, 28, 28)).astype(np.uint8)
    np.savez_compressed(str(tmp_path / "bad.npz"), x=noise, y=np.arange(50) % 2)
    content = bytearray((tmp_path / "bad.npz").read_bytes())
    content[200:260] = bytes(60)
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.npz"):
        read_source(tmp_path / "bad.npz", SPEC)
