"""Imagenette and CIFAR-10: where they are on this machine, and the forms in which they come.

They are looked for like the other data sets (`public.data_places`) and never downloaded.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..files.npyfile import NPZ_ERRORS, open_npz
from .public import data_places

__all__ = ["COLOUR_SETS", "ColourPictures", "ColourSet", "colour_folder", "find_colour", "read_colour", "read_pack"]

_SIDE = 32  # of CIFAR-10's pictures
_RECORD = 1 + 3 * _SIDE * _SIDE  # of its binary version: label, then red, green and blue planes


class ColourSet(NamedTuple):
    """Title, folders that it may lie in, where to get it, and other names of its class folders."""

    title: str
    folders: tuple[str, ...]
    home: str
    synonyms: dict[str, str]


class ColourPictures(NamedTuple):
    """uint8 (N, H, W, 3), class numbers int64 (N,), and the names of the classes."""

    pictures: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]


COLOUR_SETS = {
    "imagenette": ColourSet(
        "Imagenette",
        ("imagenette72",),
        "https://github.com/fastai/imagenette",
        {
            "n01440764": "tench",
            "n02102040": "English springer",
            "n02979186": "cassette player",
            "n03000684": "chain saw",
            "n03028079": "church",
            "n03394916": "French horn",
            "n03417042": "garbage truck",
            "n03425413": "gas pump",
            "n03445777": "golf ball",
            "n03888257": "parachute",
        },
    ),
    "cifar10": ColourSet(
        "CIFAR-10",
        ("cifar10", "cifar-10-batches-bin"),
        "https://www.cs.toronto.edu/~kriz/cifar.html (binary version)",
        {},
    ),
}

# part -> file of a JPEG pack; files of the binary version
_PACKS = {"train": "train.npz", "test": "val.npz"}
_BATCHES = {"train": ["data_batch_{}.bin".format(n) for n in range(1, 6)], "test": ["test_batch.bin"]}


def colour_folder(name: str) -> Path | None:
    """The folder of a data set on this machine."""
    places = data_places()
    folders = [base / folder for place in places for base in (place / "data", place) for folder in _folders(name)]
    return next((folder for folder in folders if folder.is_dir()), None)


def _folders(name: str) -> tuple[str, ...]:
    return COLOUR_SETS[name].folders


def find_colour(path: Path, name: str | None, part: str) -> Path | None:
    """The folder that holds `part` ("train" or "test"): `path`, or one of the data set's name in it."""
    below = [base / folder for base in (path, path / "data") for folder in (_folders(name) if name else ())]
    return next((folder for folder in [path] + below if _reader(folder, part) is not None), None)


def _reader(folder: Path, part: str) -> str | None:
    if (folder / _PACKS[part]).is_file():
        return "pack"
    if (folder / "labels.npz").is_file():
        return "columns"
    return "binary" if all((folder / file).is_file() for file in _BATCHES[part]) else None


def read_colour(folder: Path, part: str) -> ColourPictures:
    """`part` of a data set, in whichever form the folder has it.

    JPEG packs (`train.npz`, `val.npz`), lossless columns (`test_*.webp` with `labels.npz`), or CIFAR-10's
    binary version.

    Raises
    ------
    InputError
        The folder has none of them, or they are damaged.
    """
    kind = _reader(folder, part)
    if kind == "pack":
        found = read_pack(folder / _PACKS[part])
    elif kind == "columns":
        found = _read_columns(folder, part)
    elif kind == "binary":
        found = _read_binary(folder, part)
    else:
        raise InputError(
            "{}: no {} pictures: expected {}, columns of pictures with labels.npz, or {}".format(
                folder, part, _PACKS[part], _BATCHES[part][0]
            )
        )
    return _checked(found, "{} {}".format(folder, part))


def _checked(found: ColourPictures, source: str) -> ColourPictures:
    if found.labels.ndim != 1:
        raise InputError("{}: labels of shape {}, expected (n,)".format(source, found.labels.shape))
    count = len(found.labels)
    if len(found.pictures) != count or not count:
        raise InputError("{}: {} pictures but {} labels".format(source, len(found.pictures), count))
    if found.labels.min() < 0 or found.labels.max() >= len(found.classes):
        raise InputError(
            "{}: labels {} to {} but {} classes".format(
                source, found.labels.min(), found.labels.max(), len(found.classes)
            )
        )
    return found


def read_pack(path: Path) -> ColourPictures:
    """JPEG pictures of one size in an .npz file: `blob`, `offsets`, `labels`, `classes`."""
    from PIL import Image

    try:
        with open_npz(path) as pack:
            blob, offsets = pack["blob"], pack["offsets"].tolist()
            labels, classes = pack["labels"].astype(np.int64), _texts(pack["classes"])
        pictures = [
            np.asarray(Image.open(io.BytesIO(blob[start:stop].tobytes())).convert("RGB"))
            for start, stop in zip(offsets[:-1], offsets[1:])
        ]
        return _checked(ColourPictures(np.stack(pictures), labels, classes), str(path))
    except InputError:
        raise
    except (KeyError, IndexError, TypeError, *NPZ_ERRORS) as error:
        raise InputError("{}: no pack of JPEG pictures of one size: {}".format(path, error)) from error


def _read_columns(folder: Path, part: str) -> ColourPictures:
    from PIL import Image

    files = sorted(folder.glob(part + "_*.webp"))
    if not files:
        raise InputError("{}: no {}_*.webp".format(folder, part))
    try:
        columns = [np.asarray(Image.open(str(file)).convert("RGB")).reshape(-1, _SIDE, _SIDE, 3) for file in files]
        with open_npz(folder / "labels.npz") as found:
            return ColourPictures(np.concatenate(columns), found[part].astype(np.int64), _texts(found["classes"]))
    except (KeyError, IndexError, TypeError, *NPZ_ERRORS) as error:
        raise InputError("{}: no columns of pictures with labels.npz: {}".format(folder, error)) from error


def _read_binary(folder: Path, part: str) -> ColourPictures:
    parts = []
    for file in _BATCHES[part]:
        try:
            data = np.fromfile(str(folder / file), np.uint8)
        except OSError as error:
            raise InputError("{}: cannot be read: {}".format(folder / file, error)) from error
        if not data.size or data.size % _RECORD:
            problem = "{}: {} bytes, expected a multiple of {}"
            raise InputError(problem.format(folder / file, data.size, _RECORD))
        parts.append(data.reshape(-1, _RECORD))
    records = np.concatenate(parts)
    planes = records[:, 1:].reshape(-1, 3, _SIDE, _SIDE)
    try:
        names = (folder / "batches.meta.txt").read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("{}: cannot be read: {}".format(folder / "batches.meta.txt", error)) from error
    pictures = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return ColourPictures(pictures, records[:, 0].astype(np.int64), tuple(names))


def _texts(array: np.ndarray) -> tuple[str, ...]:
    return tuple(str(name) for name in array)
