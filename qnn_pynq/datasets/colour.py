"""Imagenette and CIFAR-10: where they are on this machine, and the forms in which they come.

They are looked for like the other data sets (`public.data_places`) and never downloaded.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..files.bounded import MOST_TEXT, Room, TooMuch, mebibytes, read_bytes
from ..files.npyfile import NPZ_ERRORS, Archive, open_npz
from .public import data_places

__all__ = ["COLOUR_SETS", "ColourPictures", "ColourSet", "colour_folder", "find_colour", "read_colour", "read_pack"]

_SIDE = 32  # of CIFAR-10's pictures
_LABEL = np.dtype(np.int64).itemsize
_MOST_COLUMN = 16 << 20  # bytes of a file of 500 pictures, which has 1 MB
_MOST_RECORDS = 10000  # of a file of the binary version, as they are published
_AT_ONCE = 1000  # of these
_MOST_PIXELS = 1 << 20  # of a picture in a pack
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
_BATCHES = {"train": [f"data_batch_{n}.bin" for n in range(1, 6)], "test": ["test_batch.bin"]}


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
            f"{folder}: no {part} pictures: expected {_PACKS[part]}, columns of pictures with labels.npz, or "
            f"{_BATCHES[part][0]}"
        )
    return _checked(found, f"{folder} {part}")


def _checked(found: ColourPictures, source: str) -> ColourPictures:
    if found.labels.ndim != 1:
        raise InputError(f"{source}: labels of shape {found.labels.shape}, expected (n,)")
    count = len(found.labels)
    if len(found.pictures) != count or not count:
        raise InputError(f"{source}: {len(found.pictures)} pictures but {count} labels")
    if found.labels.min() < 0 or found.labels.max() >= len(found.classes):
        raise InputError(
            f"{source}: labels {found.labels.min()} to {found.labels.max()} but {len(found.classes)} classes"
        )
    return found


def read_pack(path: Path) -> ColourPictures:
    """JPEG pictures of one size in an .npz file: `blob`, `offsets`, `labels`, `classes`."""
    try:
        with open_npz(path) as pack:
            count = _check_columns(pack, "offsets")[0] - 1
            if _check_columns(pack, "labels") != (count,):
                raise ValueError("{} labels for {} pictures".format(pack.header("labels").shape[0], count))
            pack.room.take(_LABEL * count, "labels")
            blob, offsets = pack["blob"], pack["offsets"]
            labels, classes = pack["labels"].astype(np.int64), _texts(pack)
            pictures = _decoded(blob, offsets, pack.room)
        return _checked(ColourPictures(pictures, labels, classes), str(path))
    except InputError:
        raise
    except (KeyError, IndexError, TypeError, *NPZ_ERRORS) as error:
        raise InputError(f"{path}: no pack of JPEG pictures of one size: {error}") from error


def _check_columns(pack: Archive, name: str) -> tuple[int, ...]:
    """Shape of an array of integers, one for each picture."""
    shape, _, dtype = pack.header(name)
    if len(shape) != 1 or dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers (n,), not {dtype} {shape}")
    return shape


def _decoded(blob: np.ndarray, offsets: np.ndarray, room: Room) -> np.ndarray:
    """The pictures of a pack, uint8 (n, height, width, 3), all as large as the first."""
    from PIL import Image

    pictures = np.empty((0, 0, 0, 3), np.uint8)
    for index in range(len(offsets) - 1):
        start, stop = int(offsets[index]), int(offsets[index + 1])
        if not 0 <= start < stop <= len(blob):
            raise ValueError(f"picture {index} at {start} to {stop} of {len(blob)} bytes")
        image = Image.open(io.BytesIO(blob[start:stop].tobytes()))
        if image.size[0] * image.size[1] > _MOST_PIXELS:
            problem = "picture {} is {} x {}: expected at most {} pixels"
            raise ValueError(problem.format(index, *image.size, _MOST_PIXELS))
        shape = (len(offsets) - 1, image.size[1], image.size[0], 3)
        if not index:
            room.take(math.prod(shape), f"pictures of shape {shape}")
            pictures = np.empty(shape, np.uint8)
        if shape != pictures.shape:
            raise ValueError("picture {} is {} x {}".format(index, *image.size))
        pictures[index] = np.asarray(image.convert("RGB"))
    return pictures


def _read_columns(folder: Path, part: str) -> ColourPictures:
    files = sorted(folder.glob(part + "_*.webp"))
    if not files:
        raise InputError(f"{folder}: no {part}_*.webp")
    try:
        with open_npz(folder / "labels.npz") as found:
            (count,) = _check_columns(found, part)
            pictures = np.empty((count, _SIDE, _SIDE, 3), np.uint8)
            found.room.take(_LABEL * count + pictures.nbytes, f"{count} pictures with their labels")
            labels, classes = found[part].astype(np.int64), _texts(found)
        at = 0
        for file in files:
            column = _open_column(file, _SIDE * (count - at))
            stop = at + column.size[1] // _SIDE
            pictures[at:stop] = np.asarray(column.convert("RGB")).reshape(-1, _SIDE, _SIDE, 3)
            at = stop
        if at != count:
            raise ValueError(f"{at} pictures but {count} labels")
        return ColourPictures(pictures, labels, classes)
    except (KeyError, IndexError, TypeError, *NPZ_ERRORS) as error:
        raise InputError(f"{folder}: no columns of pictures with labels.npz: {error}") from error


def _open_column(file: Path, lines: int) -> Any:
    """A picture of RGB pixels, 32 wide and at most `lines` high, not decoded yet."""
    from PIL import Image

    column = Image.open(io.BytesIO(read_bytes(file, _MOST_COLUMN)))
    width, height = column.size
    if width != _SIDE or height % _SIDE or height > lines:
        problem = "{}: {} x {} pixels, expected {} x up to {} for the labels"
        raise ValueError(problem.format(file.name, width, height, _SIDE, lines))
    return column


def _read_binary(folder: Path, part: str) -> ColourPictures:
    names = _read_names(folder / "batches.meta.txt")
    counts = []
    for file in _BATCHES[part]:
        size = (folder / file).stat().st_size
        if not size or size % _RECORD or size > _MOST_RECORDS * _RECORD:
            problem = "{}: {} bytes, expected a multiple of {}, for at most {} pictures"
            raise InputError(problem.format(folder / file, size, _RECORD, _MOST_RECORDS))
        counts.append(size // _RECORD)
    pictures = np.empty((sum(counts), _SIDE, _SIDE, 3), np.uint8)
    labels = np.empty(len(pictures), np.int64)
    at = 0
    for file, count in zip(_BATCHES[part], counts):
        for first in range(0, count, _AT_ONCE):
            records = _read_records(folder / file, first, min(_AT_ONCE, count - first))
            stop = at + len(records)
            labels[at:stop] = records[:, 0]
            pictures[at:stop] = records[:, 1:].reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
            at = stop
    return ColourPictures(pictures, labels, names)


def _read_records(file: Path, first: int, count: int) -> np.ndarray:
    try:
        with file.open("rb") as stream:
            stream.seek(first * _RECORD)
            found = np.fromfile(stream, np.uint8, count * _RECORD)
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error}") from error
    if found.size != count * _RECORD:
        raise InputError(f"{file}: it became shorter while it was read")
    return found.reshape(count, _RECORD)


def _read_names(file: Path) -> tuple[str, ...]:
    try:
        return tuple(read_bytes(file, MOST_TEXT).decode("utf-8").split())
    except (OSError, TooMuch, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read: {error}") from error


def _texts(pack: Archive) -> tuple[str, ...]:
    """The names of the classes."""
    header = pack.header("classes")
    if header.nbytes > MOST_TEXT:
        raise TooMuch(f"classes takes {header.nbytes} bytes: expected at most {mebibytes(MOST_TEXT)}")
    return tuple(str(name) for name in pack["classes"])
