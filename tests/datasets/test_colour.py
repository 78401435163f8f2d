"""Imagenette and CIFAR-10 in every form they come in; the same pictures and labels from each."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from qnn_pynq.datasets.colour import COLOUR_SETS, find_colour, read_colour, read_pack
from qnn_pynq.datasets.testsets import dataset_of, find_test_set
from qnn_pynq.errors import InputError, NotFoundError

CLASSES = ("airplane", "dog", "ship")
# Of the decoded pictures in the official order, as the data set's keepers state it.
CIFAR_TEST = "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04"


@pytest.fixture(autouse=True)
def _nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No data in the environment; the cache of a test is empty."""
    monkeypatch.delenv("QNN_PYNQ_DATA", raising=False)


def network(dataset: str = "CIFAR-10", classes: tuple[str, ...] = CLASSES, name: str = "net") -> Any:
    return SimpleNamespace(name=name, classes=classes, provenance={"dataset": dataset})


PICTURES = np.random.RandomState(0).randint(0, 256, (7, 32, 32, 3)).astype(np.uint8)
LABELS = np.array([0, 2, 1, 1, 0, 2, 2], np.uint8)


def write_columns(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for index, part in enumerate((PICTURES[:4], PICTURES[4:])):
        Image.fromarray(part.reshape(-1, 32, 3)).save(str(folder / f"test_{index:03}.webp"), lossless=True)
    np.savez(str(folder / "labels.npz"), test=LABELS, classes=np.array(CLASSES))
    return folder


def write_binary(folder: Path) -> Path:
    folder.mkdir(parents=True)
    planes = PICTURES.transpose(0, 3, 1, 2).reshape(len(PICTURES), -1)
    (folder / "test_batch.bin").write_bytes(np.hstack([LABELS[:, None], planes]).tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n\n")
    return folder


def write_pack(folder: Path) -> Path:
    """The pictures as JPEG: grey ones of one level, which it keeps."""
    blobs = []
    for level in LABELS:
        file = io.BytesIO()
        Image.new("L", (12, 12), int(level) * 100).save(file, "JPEG")
        blobs.append(np.frombuffer(file.getvalue(), np.uint8))
    folder.mkdir(parents=True)
    np.savez(
        str(folder / "val.npz"), blob=np.concatenate(blobs), offsets=np.cumsum([0] + [len(b) for b in blobs]),
        labels=LABELS, classes=np.array(CLASSES),
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("write, folder", [(write_columns, "cifar10"), (write_binary, "cifar-10-batches-bin")])
@pytest.mark.parametrize("layout", ["", "data"])
def test_both_forms_of_cifar10_are_found_and_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any, folder: str, layout: str
) -> None:
    place = write(tmp_path / "sets" / layout / folder)
    for where in (place, tmp_path / "sets"):
        found = find_test_set(network(), where)
        assert found.source == str(place)
        np.testing.assert_array_equal(found.pictures, PICTURES)
        np.testing.assert_array_equal(found.labels, LABELS)
    with pytest.raises(NotFoundError, match="(?s)not downloaded.*kriz.*QNN_PYNQ_DATA"):
        find_test_set(network())
    monkeypatch.setenv("QNN_PYNQ_DATA", str(tmp_path / "sets"))
    assert find_test_set(network()).labels.dtype == np.int64


def test_packs_of_jpeg_pictures(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "imagenette72")
    for where in (folder, tmp_path, folder / "val.npz"):
        found = find_test_set(network("Imagenette"), where)
        assert found.pictures.shape == (7, 12, 12, 3)
        np.testing.assert_array_equal(found.pictures[:, 0, 0, 1], LABELS * 100)


def test_labels_go_by_the_names_of_the_classes(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "x")
    turned = find_test_set(network("Imagenette", ("SHIP", "Dog", "more", "airplane")), folder)
    assert turned.labels.tolist() == [(3, 1, 0)[label] for label in LABELS]
    with pytest.raises(InputError, match="'ship' is none of the network's"):
        find_test_set(network("Imagenette", ("airplane", "dog")), folder)


def test_folders_with_wordnet_names_are_imagenettes_classes(tmp_path: Path) -> None:
    for name in ("n01440764", "tench", "n03888257"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(str(tmp_path / name / "a.png"))
    found = find_test_set(network("Imagenette", ("parachute", "tench")), tmp_path)
    assert found.labels.tolist() == [1, 0, 1]
    with pytest.raises(InputError, match="n01440764"):
        find_test_set(network("my own", ("parachute", "tench")), tmp_path)


def test_the_data_set_comes_from_the_provenance_or_the_name() -> None:
    assert dataset_of(network("Imagenette")) == "imagenette"
    assert dataset_of(network("CIFAR-10")) == dataset_of(network("cifar10")) == "cifar10"
    assert dataset_of(network("", name="dorefa-w1a2-cifar10")) == "cifar10"
    assert dataset_of(network("", name="dorefa-w1a2-imagenette")) == "imagenette"
    assert dataset_of(network("my pictures", name="dorefa-w1a2-cifar10")) is None


def test_damaged_sets_are_refused(tmp_path: Path) -> None:
    folder = write_columns(tmp_path / "columns")
    np.savez(str(folder / "labels.npz"), test=LABELS[:3], classes=np.array(CLASSES))
    with pytest.raises(InputError, match="32 x 128 pixels, expected 32 x up to 96 for the labels"):
        read_colour(folder, "test")
    np.savez(str(folder / "labels.npz"), test=LABELS, classes=np.array(CLASSES[:2]))
    with pytest.raises(InputError, match="0 to 2 but 2 classes"):
        read_colour(folder, "test")
    np.savez(str(folder / "labels.npz"), train=LABELS)
    with pytest.raises(InputError, match="columns"):
        read_colour(folder, "test")
    with pytest.raises(InputError, match=r"train_\*\.webp"):
        read_colour(folder, "train")
    (folder / "test_000.webp").write_bytes(b"RIFF")
    with pytest.raises(InputError, match="columns"):
        read_colour(folder, "test")

    folder = write_binary(tmp_path / "binary")
    data = (folder / "test_batch.bin").read_bytes()
    (folder / "test_batch.bin").write_bytes(data[:-1])
    with pytest.raises(InputError, match="test_batch.bin: .*multiple of 3073"):
        read_colour(folder, "test")
    (folder / "test_batch.bin").write_bytes(data)
    (folder / "batches.meta.txt").unlink()
    with pytest.raises(InputError, match="batches.meta.txt"):
        read_colour(folder, "test")

    folder = write_pack(tmp_path / "pack")
    with np.load(str(folder / "val.npz")) as pack:
        arrays = dict(pack)
    offsets = arrays["offsets"]
    for change in ({"offsets": offsets + 1}, {"offsets": offsets / 3}, {"blob": arrays["blob"][:50]},
                   {"labels": arrays["labels"] + 9}, {"labels": np.int64(0)}, {"blob": np.uint8(1)}):
        np.savez(str(folder / "val.npz"), **dict(arrays, **change))
        with pytest.raises(InputError, match="val.npz"):
            read_colour(folder, "test")
        with pytest.raises(InputError, match="val.npz"):
            read_pack(folder / "val.npz")
    (folder / "val.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="val.npz"):
        read_colour(folder, "test")
    with pytest.raises(InputError, match="expected val.npz"):
        read_colour(tmp_path, "test")
    assert find_colour(tmp_path, "cifar10", "test") is None


@pytest.mark.slow
def test_the_pictures_of_cifar10_are_the_official_ones(shared_data: Path) -> None:
    found = read_colour(shared_data / "cifar10", "test")
    assert found.pictures.shape == (10000, 32, 32, 3) and np.bincount(found.labels).tolist() == [1000] * 10
    assert hashlib.sha256(found.pictures.tobytes()).hexdigest() == CIFAR_TEST


def test_wordnet_names_are_those_of_the_pack(shared_data: Path) -> None:
    with np.load(str(shared_data / "imagenette72" / "val.npz"), allow_pickle=False) as pack:
        names = {str(wnid): str(name) for wnid, name in zip(pack["wnids"], pack["classes"])}
    assert names == COLOUR_SETS["imagenette"].synonyms
