"""Training data: the public data sets, and splits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..datasets.public import DATASETS, find_files, read_idx
from ..errors import InputError

__all__ = ["DataSet", "load_dataset", "split"]


class DataSet(NamedTuple):
    """Pictures uint8 (N, H, W), labels int64 (N,), class names."""

    pictures: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def take(self, which: np.ndarray) -> DataSet:
        """The pictures that a mask or indices name."""
        return DataSet(self.pictures[which], self.labels[which], self.classes)

    def accuracy(self, found: np.ndarray) -> float:
        """Share of the classes `found` that are right, to six digits."""
        return round(float(np.mean(found == self.labels)), 6)


def load_dataset(name: str, part: str) -> DataSet:
    """`part` ("train" or "test") of "mnist" or "fashion-mnist".

    Looked for in $QNN_PYNQ_DATA and in the cache, then downloaded from its public home with a
    digest check.
    """
    if name not in DATASETS:
        raise InputError("data set {!r}: expected one of {}".format(name, ", ".join(sorted(DATASETS))))
    files = find_files(name, part, fetch=True)
    assert files is not None
    pictures, labels = (read_idx(file) for file in files)
    if len(pictures) != len(labels):
        raise InputError(f"{name} {part}: {len(pictures)} pictures but {len(labels)} labels")
    return DataSet(pictures, labels.astype(np.int64), DATASETS[name].classes)


def split(data: DataSet, held_out: int, seed: int) -> tuple[DataSet, DataSet]:
    """Seeded random split into (training, held out)."""
    order = np.random.RandomState(seed).permutation(len(data.labels))
    cut = len(order) - held_out
    return data.take(np.sort(order[:cut])), data.take(np.sort(order[cut:]))
