"""Test sets: found where the user keeps them, refused where they do not fit."""

from __future__ import annotations

import gzip
import struct
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from qnn_pynq.datasets import public as datasets
from qnn_pynq.datasets.testsets import dataset_of, find_test_set
from qnn_pynq.errors import InputError, NotFoundError

PICTURES = np.arange(3 * 28 * 28, dtype=np.int64).reshape(3, 28, 28).astype(np.uint8)
LABELS = np.array([1, 0, 1], dtype=np.uint8)


def network(dataset: str = "MNIST", classes: tuple[str, ...] = ("cat", "T-shirt/top"), name: str = "net") -> Any:
    return SimpleNamespace(name=name, classes=classes, provenance={"dataset": dataset})


def write_idx(folder: Path, compressed: bool = True, labels: np.ndarray = LABELS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, array in (("t10k-images-idx3-ubyte", PICTURES), ("t10k-labels-idx1-ubyte", labels)):
        head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        data = head + array.tobytes()
        if compressed:
            (folder / (stem + ".gz")).write_bytes(gzip.compress(data))
        else:
            (folder / stem).write_bytes(data)
    return folder


@pytest.fixture(autouse=True)
def _nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No data in the environment; the cache of a test is empty."""
    monkeypatch.delenv("QNN_PYNQ_DATA", raising=False)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("place", ["", "mnist", "data/mnist"])
def test_idx_files_are_found_in_the_folder_given(tmp_path: Path, place: str, compressed: bool) -> None:
    write_idx(tmp_path / "x" / place, compressed)
    found = find_test_set(network(), tmp_path / "x")
    assert np.array_equal(found.pictures, PICTURES) and found.labels.tolist() == [1, 0, 1]
    assert found.labels.dtype == np.int64 and found.source == str(tmp_path / "x" / place).rstrip("/")
    assert len(found.first(2).pictures) == len(found.first(2).labels) == 2 and found.first(None) is found


@pytest.mark.parametrize("layout", ["mnist", "data/mnist"])
def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    write_idx(tmp_path / "sets" / layout)
    monkeypatch.setenv("QNN_PYNQ_DATA", str(tmp_path / "sets"))
    assert len(find_test_set(network()).labels) == 3


def test_another_data_set_is_not_taken_by_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QNN_PYNQ_DATA", str(write_idx(tmp_path / "fashion-mnist")))
    with pytest.raises(NotFoundError):
        find_test_set(network())
    assert len(find_test_set(network("Fashion-MNIST")).labels) == 3


def test_npz_files(tmp_path: Path) -> None:
    for index, keys in enumerate((("x_test", "y_test"), ("images", "labels"), ("pictures", "labels"))):
        path = tmp_path / f"{index}.npz"
        np.savez(str(path), **dict(zip(keys, (PICTURES, LABELS))))
        assert np.array_equal(find_test_set(network(), path).pictures, PICTURES)


def test_class_named_folders(tmp_path: Path) -> None:
    for name in ("cat", "t-shirt-top"):
        (tmp_path / name).mkdir()
        Image.fromarray(PICTURES[0]).save(str(tmp_path / name / "a.png"))
        (tmp_path / name / "notes.txt").write_text("no picture")
    found = find_test_set(network("my own"), tmp_path)
    assert [Path(path).parent.name for path in found.pictures] == ["cat", "t-shirt-top"]
    assert found.labels.tolist() == [0, 1]


def test_the_data_set_comes_from_the_provenance_before_the_name() -> None:
    assert dataset_of(network("Fashion-MNIST")) == "fashion-mnist"
    assert dataset_of(network("Fashion MNIST")) == "fashion-mnist"
    assert dataset_of(network("MNIST", name="x-fashion-mnist")) == "mnist"
    assert dataset_of(network("", name="lfc-w1a1-fashion-mnist")) == "fashion-mnist"
    assert dataset_of(network("", tuple("0123456789"))) == "mnist"
    assert dataset_of(network("my cats", name="cats-mnist")) is None


def test_what_is_nowhere_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QNN_PYNQ_DATA", str(tmp_path / "empty"))
    with pytest.raises(NotFoundError, match="(?s)empty.*--data.*--download"):
        find_test_set(network())
    with pytest.raises(NotFoundError, match="--data"):
        find_test_set(network("cats"))
    with pytest.raises(NotFoundError, match="no folder or file"):
        find_test_set(network(), tmp_path / "missing")


def test_nothing_is_downloaded_unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    there = write_idx(tmp_path / "home", compressed=True)

    def download(urls: Any, target: Path, sha256: str) -> Path:
        asked.append(urls)
        assert sha256 == datasets.DATASETS["mnist"].sha256[target.name]
        return there / target.name

    monkeypatch.setattr(datasets, "download", download)
    with pytest.raises(NotFoundError):
        find_test_set(network())
    assert not asked
    assert len(find_test_set(network(), download=True).labels) == 3
    assert [urls[0].rsplit("/", 1)[1] for urls in asked] == [stem + ".gz" for stem in datasets.FILES["test"]]


def test_files_that_are_no_test_set(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="t10k-images"):
        find_test_set(network(), empty)
    (empty / "dog").mkdir()
    with pytest.raises(InputError, match="cat"):
        find_test_set(network(), empty)
    for name, arrays in (
        ("keys", {"a": PICTURES}),
        ("labels", {"images": PICTURES, "labels": LABELS / 2}),
        ("length", {"images": PICTURES, "labels": LABELS[:2]}),
        ("range", {"images": PICTURES, "labels": LABELS + 1}),
        ("number", {"images": np.float64(1), "labels": LABELS}),
    ):
        path = tmp_path / (name + ".npz")
        np.savez(str(path), **arrays)
        with pytest.raises(InputError, match=name + ".npz"):
            find_test_set(network(), path)
    with zipfile.ZipFile(str(tmp_path / "bytes.npz"), "w") as archive:
        for member in ("images.npy", "labels.npy"):
            archive.writestr(member, "no array")
    with pytest.raises(InputError, match="bytes.npz"):
        find_test_set(network(), tmp_path / "bytes.npz")
    (tmp_path / "text.npz").write_text("no zip")
    # Without numpy's advice to unpickle it.
    with pytest.raises(InputError, match="text.npz: no .npz file of plain arrays: expected a zip archive"):
        find_test_set(network(), tmp_path / "text.npz")
    objects = tmp_path / "objects.npz"
    np.savez(str(objects), images=np.array([{}], dtype=object), labels=LABELS[:1])
    with pytest.raises(InputError, match="objects.npz"):
        find_test_set(network(), objects)
    damaged = tmp_path / "damaged.npz"
    noise = np.random.RandomState(0).randint(0, 30, (50, 28, 28)).astype(np.uint8)
    np.savez_compressed(str(damaged), images=noise, labels=np.zeros(50, np.int64))
    content = bytearray(damaged.read_bytes())
    content[200:260] = bytes(60)
    damaged.write_bytes(content)
    with pytest.raises(InputError, match="damaged.npz"):
        find_test_set(network(), damaged)


def test_the_name_of_a_network_is_no_network():
    with pytest.raises(InputError, match="network is of type str: expected what load_network gives"):
        find_test_set("lfc-w1a1-mnist")
