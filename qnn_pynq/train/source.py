"""A user's pictures as one data set: class-named folders or .npz, through the network's preprocessing."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Collection

import numpy as np

from ..contracts.network import InputSpec
from ..datasets.layouts import PAIRS, SUFFIXES, TEST_PAIRS, TRAIN_PAIRS, class_folders, picture_files
from ..errors import InputError
from ..files.bounded import mebibytes
from ..files.fields import unprintable
from ..files.npyfile import NPZ_ERRORS, Archive, open_npz
from ..pictures.prepare import prepare, prepare_many
from .data import DataSet
from .decode import OUTPUTS

__all__ = ["ENOUGH", "read_parted", "read_source", "split_by_class", "threshold_of"]

_log = logging.getLogger(__name__)
ENOUGH = 2000  # pictures to train from which on some can be set apart for the choices of a training
_MOST_LABELS = 8 << 20  # bytes


def read_source(source: Path, spec: InputSpec, most: int = OUTPUTS) -> tuple[DataSet, DataSet | None]:
    """(pictures, test pictures or None) of a folder or .npz file, as `spec` has pictures.

    Raises
    ------
    InputError
        Nothing there, fewer than 2 or more than `most` classes, fewer than 2 pictures of a class, an unreadable
        picture, arrays of wrong type or length.
    """
    if source.is_dir():
        data, test = _read_folders(source, spec, most), None
    elif source.is_file():
        data, test = _read_npz(source, spec, most)
    else:
        raise InputError(f"{source}: no such folder or .npz file")
    counts = np.bincount(data.labels, minlength=len(data.classes))
    least = 2 if test is None else 1
    if counts.min() < least:
        raise InputError(
            f"{source}: class {data.classes[int(counts.argmin())]!r} has {counts.min()} picture(s), at least {least} "
            "are needed"
        )
    return data, test


def read_parted(source: Path, spec: InputSpec, seed: int, most: int = OUTPUTS) -> tuple[DataSet, DataSet]:
    """(pictures to train, pictures to test): 15 % of each class are set apart where the source has none itself."""
    data, test = read_source(source, spec, most)
    return split_by_class(data, 0.15, seed) if test is None else (data, test)


def _check_classes(source: Path, names: list[str], what: str, most: int) -> None:
    if len(names) < 2:
        raise InputError("{}: {} {}, at least 2 classes are needed".format(source, len(names) or "no", what))
    if len(names) > most:
        raise InputError(f"{source}: {len(names)} {what}, such a network has at most {most} classes")
    for index, name in enumerate(names):
        problem = "is there twice" if name in names[:index] else "is empty" if not name else ""
        if unprintable(name):
            problem = "has control characters or is not UTF-8"
        if problem:
            text = "{}: class name {} {}: give every class a name of its own, of letters, signs and spaces"
            raise InputError(text.format(source, ascii(name), problem))


def _read_folders(source: Path, spec: InputSpec, most: int) -> DataSet:
    folders = class_folders(source)
    _check_classes(source, [p.name for p in folders], "class folder(s)", most)
    pictures: list[np.ndarray] = []
    labels: list[int] = []
    skipped = 0
    for index, folder in enumerate(folders):
        files, others = picture_files(folder)
        skipped += others
        pictures += [prepare(file, spec) for file in files]
        labels += [index] * len(files)
        if not files:
            raise InputError("{}: no pictures in this class folder ({})".format(folder, ", ".join(sorted(SUFFIXES))))
    if skipped:
        _log.warning("%s: %d file(s) that are no pictures skipped", source, skipped)
    return DataSet(np.stack(pictures), np.array(labels, np.int64), tuple(p.name for p in folders))


def _read_npz(source: Path, spec: InputSpec, most: int) -> tuple[DataSet, DataSet | None]:
    try:
        with open_npz(source) as file:
            pairs = [pair for pair in (_pick(file.files, TRAIN_PAIRS + PAIRS), _pick(file.files, TEST_PAIRS)) if pair]
            for pair in pairs:
                _check_headers(source, file, pair)
            wanted = {key for pair in pairs for key in pair} | ({"classes"} & set(file.files))
            arrays = {key: file[key] for key in sorted(wanted)}
            present = sorted(file.files)
    except InputError:
        raise
    except NPZ_ERRORS as error:
        raise InputError(f"{source}: no .npz file of plain arrays: {error}") from error
    found = _pick(arrays, TRAIN_PAIRS + PAIRS)
    if found is None:
        raise InputError(
            "{}: has {}; expected x and y, images and labels, or x_train and y_train".format(
                source, ", ".join(present) or "nothing"
            )
        )
    names, labels = _labels(source, found[1], arrays, most)
    data = DataSet(_pictures(found, arrays, spec), labels, names)
    second = _pick(arrays, TEST_PAIRS)
    if second is None:
        return data, None
    _, test_labels = _labels(source, second[1], arrays, most, found[1])
    return data, DataSet(_pictures(second, arrays, spec), test_labels, names)


def _check_headers(source: Path, file: Archive, keys: tuple[str, str]) -> None:
    pictures, labels = (file.header(key) for key in keys)
    count = labels.shape[0] if labels.shape else 0
    if not count or len(pictures.shape) < 2 or pictures.shape[0] != count:
        raise InputError(
            f"{source}: {keys[0]} has shape {pictures.shape} but {keys[1]} has {count} labels"
        )
    if labels.nbytes > _MOST_LABELS:
        problem = "{}: {} takes {} bytes: expected at most {}"
        raise InputError(problem.format(source, keys[1], labels.nbytes, mebibytes(_MOST_LABELS)))


def _pick(arrays: Collection[str], pairs: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    return next((pair for pair in pairs if pair[0] in arrays and pair[1] in arrays), None)


def _pictures(keys: tuple[str, str], arrays: dict[str, np.ndarray], spec: InputSpec) -> np.ndarray:
    rows = prepare_many(arrays[keys[0]], spec)
    return rows.reshape(-1, *spec.size) if spec.channels == 1 else rows.reshape(-1, *spec.size, spec.channels)


def _labels(
    source: Path, key: str, arrays: dict[str, np.ndarray], most: int, reference: str | None = None
) -> tuple[tuple[str, ...], np.ndarray]:
    """(class names, indices) of integer or text labels; names of the labels in `reference` where given."""
    values = arrays[key]
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or values.dtype.kind not in "iuUS":
        raise InputError(
            f"{source}: {key} is {values.dtype} {values.shape}, expected whole numbers or texts (n,)"
        )
    given = arrays.get("classes")
    if given is not None and values.dtype.kind in "iu":
        names = [str(name) for name in given.reshape(-1)]
        if len(values) and not (values.min() >= 0 and values.max() < len(names)):
            raise InputError(
                f"{source}: {key} runs from {values.min()} to {values.max()}, but there are {len(names)} classes"
            )
        _check_classes(source, names, "class(es)", most)
        return tuple(names), values.astype(np.int64)
    known = np.unique(arrays[reference].reshape(-1)) if reference else np.unique(values)
    index = np.searchsorted(known, values)
    bad = np.flatnonzero(known[np.minimum(index, len(known) - 1)] != values) if len(known) else np.zeros(0)
    if len(bad):
        raise InputError(
            f"{source}: {key} has the label {values[int(bad[0])]!r}, which no training picture has"
        )
    names = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in known]
    _check_classes(source, names, "class(es)", most)
    return tuple(names), index.astype(np.int64)


def split_by_class(data: DataSet, share: float, seed: int) -> tuple[DataSet, DataSet]:
    """(rest, part): a seeded random `share` of every class, at least one picture of each in both."""
    random = np.random.RandomState(seed % (1 << 32))
    part: list[np.ndarray] = []
    for index in range(len(data.classes)):
        own = random.permutation(np.flatnonzero(data.labels == index))
        part.append(own[: min(max(1, int(round(share * len(own)))), len(own) - 1)])
    chosen = np.zeros(len(data.labels), bool)
    chosen[np.concatenate(part)] = True
    return data.take(~chosen), data.take(chosen)


def threshold_of(pictures: np.ndarray) -> int:
    """Otsu's threshold of all pixels, 1..255: it parts dark from light best (IEEE SMC-9, 1979)."""
    counts = np.bincount(pictures.reshape(-1), minlength=256).astype(np.float64)
    below = np.cumsum(counts)[:-1]
    mass = np.cumsum(counts * np.arange(256))
    above, total = counts.sum() - below, mass[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass[:-1] / below - (total - mass[:-1]) / above) ** 2
    best = np.flatnonzero(np.nan_to_num(between) == np.nan_to_num(between).max())
    # Where empty grey levels lie between, the middle of them.
    return int(np.clip(int(round(float(best.mean()))) + 1, 1, 255))
