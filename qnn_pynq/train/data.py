"""Data sets: MNIST and Fashion-MNIST (local or downloaded), .npz files, folders of pictures."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import struct
import urllib.request
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..catalogue import cache_folder
from ..errors import DigestError, FetchError, InputError

__all__ = ["DATASETS", "DataSet", "load_dataset", "read_idx", "split"]

log = logging.getLogger(__name__)


class DataSet(NamedTuple):
    """Pictures uint8 (N, H, W), labels int64 (N,), class names."""

    pictures: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]


class _Source(NamedTuple):
    title: str
    classes: tuple[str, ...]
    urls: tuple[str, ...]
    md5: dict[str, str]


_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}

DATASETS = {
    "mnist": _Source(
        "MNIST",
        tuple("0123456789"),
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion-mnist": _Source(
        "Fashion-MNIST",
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
}


def read_idx(path: Path) -> np.ndarray:
    """Array of an idx file (.gz or plain) of unsigned bytes."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(str(path), "rb") as file:
            data = file.read()
    except (OSError, EOFError) as error:
        raise InputError("{}: cannot be read: {}".format(path, error)) from error
    if len(data) < 4 or data[0] or data[1] or data[2] != 8:
        raise InputError("{}: not an idx file of unsigned bytes".format(path))
    head = 4 + 4 * data[3]
    if len(data) < head:
        raise InputError("{}: header cut off after {} bytes".format(path, len(data)))
    shape = struct.unpack(">{}I".format(data[3]), data[4:head])
    expected = int(np.prod(shape, dtype=np.int64))
    if len(data) - head != expected:
        raise InputError("{}: {} bytes of data, {} expected for {}".format(path, len(data) - head, expected, shape))
    return np.frombuffer(data, np.uint8, expected, head).reshape(shape)


def _find(name: str, file: str) -> Path:
    """Local copy of one file of a data set, downloaded when there is none."""
    bases = [Path(__file__).resolve().parents[2].parent / "shared" / "data"]
    if os.environ.get("QNN_PYNQ_DATA"):
        chosen = Path(os.environ["QNN_PYNQ_DATA"])
        bases = [chosen, chosen / "data"] + bases
    for base in bases:
        if (base / name / file).is_file():
            return base / name / file
    target = cache_folder() / "data" / name / file
    if not target.is_file():
        _download(DATASETS[name], file, target)
    return target


def _download(source: _Source, file: str, target: Path) -> None:
    failures = []
    for url in source.urls:
        log.info("downloading %s%s", url, file)
        try:
            with urllib.request.urlopen(url + file, timeout=60) as answer:
                data = answer.read()
        except OSError as error:
            failures.append("{}{}: {}".format(url, file, error))
            continue
        digest = hashlib.md5(data).hexdigest()
        if digest != source.md5[file]:
            raise DigestError("{}{}: md5 {}, expected {}".format(url, file, digest, source.md5[file]))
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name("{}.{}.part".format(file, os.getpid()))
        partial.write_bytes(data)
        os.replace(str(partial), str(target))
        return
    raise FetchError(
        "{} could not be downloaded ({}); put it into a folder {} and set QNN_PYNQ_DATA to the folder above".format(
            file, "; ".join(failures), target.parent.name
        )
    )


def load_dataset(name: str, part: str) -> DataSet:
    """`part` ("train" or "test") of "mnist" or "fashion-mnist".

    Looked for in $QNN_PYNQ_DATA, then beside the checkout, then downloaded from its public home with a
    digest check.
    """
    if name not in DATASETS:
        raise InputError("data set {!r}: expected one of {}".format(name, ", ".join(sorted(DATASETS))))
    images, labels = (read_idx(_find(name, file)) for file in _FILES[part])
    if len(images) != len(labels):
        raise InputError("{} {}: {} images but {} labels".format(name, part, len(images), len(labels)))
    return DataSet(images, labels.astype(np.int64), DATASETS[name].classes)


def split(data: DataSet, held_out: int, seed: int) -> tuple[DataSet, DataSet]:
    """Seeded random split into (training, held out)."""
    order = np.random.RandomState(seed).permutation(len(data.labels))
    cut = len(order) - held_out
    first, second = np.sort(order[:cut]), np.sort(order[cut:])
    return (
        DataSet(data.pictures[first], data.labels[first], data.classes),
        DataSet(data.pictures[second], data.labels[second], data.classes),
    )
