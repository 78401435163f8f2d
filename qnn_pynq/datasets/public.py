"""MNIST and Fashion-MNIST: where they are on this machine, and their public homes."""

from __future__ import annotations

import math
import os
import struct
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Tuple

import numpy as np

from ..catalogue import cache_folder
from ..errors import InputError
from ..files.bounded import Gunzip, Room, TooMuch, read_into
from ..files.download import download

__all__ = ["DATASETS", "FILES", "PublicDataSet", "data_places", "files_in", "find_files", "idx_shape", "read_idx"]

Files = Tuple[Path, Path]
_MOST_SIDES = 8  # numpy has at least 32


class PublicDataSet(NamedTuple):
    """Title, class names, and the addresses and sha256 digests of its idx files."""

    title: str
    classes: tuple[str, ...]
    homes: tuple[str, ...]
    sha256: dict[str, str]


# part -> (images, labels)
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}

DATASETS = {
    "mnist": PublicDataSet(
        "MNIST",
        tuple("0123456789"),
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        {
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        },
    ),
    "fashion-mnist": PublicDataSet(
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
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        },
    ),
}


def read_idx(path: Path, room: Room | None = None) -> np.ndarray:
    """Array of an idx file (.gz or plain) of unsigned bytes.

    Parameters
    ----------
    room
        For the array, whose size the header says; by default `bounded.MOST_HELD` bytes.

    Raises
    ------
    InputError
        No such file, or more than there is room for.
    """
    with _opened(path) as file:
        shape = _idx_header(path, file)
        expected = math.prod(shape)
        (Room() if room is None else room).take(expected, f"the array {shape}")
        data: Any = np.empty(expected, np.uint8)
        have = read_into(file, memoryview(data))
        more = have == expected and file.read(1) != b""
    if more or have != expected:
        found = f"more than {have}" if more else have
        raise InputError(f"{path}: {found} bytes of data, {expected} expected for {shape}")
    data.flags.writeable = False
    array: np.ndarray = data.reshape(shape)
    return array


def idx_shape(path: Path) -> tuple[int, ...]:
    """What `read_idx` would give by the header of the file."""
    with _opened(path) as file:
        return _idx_header(path, file)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise OSError("no regular file")
        with path.open("rb") as file:
            yield Gunzip(file) if path.suffix == ".gz" else file
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except TooMuch as error:
        raise InputError(f"{path}: {error}") from error


def _exactly(file: Any, count: int) -> bytes:
    """`count` bytes, fewer at the end of the file."""
    found = bytearray(count)
    return bytes(found[: read_into(file, memoryview(found))])


def _idx_header(path: Path, file: Any) -> tuple[int, ...]:
    start = _exactly(file, 4)
    if len(start) < 4 or start[0] or start[1] or start[2] != 8:
        raise InputError(f"{path}: not an idx file of unsigned bytes")
    if start[3] > _MOST_SIDES:
        raise InputError(f"{path}: {start[3]} dimensions, expected at most {_MOST_SIDES}")
    sides = _exactly(file, 4 * start[3])
    if len(sides) < 4 * start[3]:
        raise InputError(f"{path}: header cut off after {4 + len(sides)} bytes")
    return struct.unpack(f">{start[3]}I", sides)


def data_places() -> list[Path]:
    """Folders in which data sets are looked for, in order: $QNN_PYNQ_DATA, the cache."""
    chosen = os.environ.get("QNN_PYNQ_DATA")
    return ([Path(chosen)] if chosen else []) + [cache_folder()]


def files_in(place: Path, name: str | None, part: str, trusted: bool = False) -> Files | None:
    """(images, labels) of a data set in `place/data/NAME`, in `place/NAME`, or in `place` itself.

    idx files do not say which data set they are: `place` itself must have its name, or be `trusted`.
    """
    folders = [place / "data" / name, place / name] if name else []
    if trusted or place.name == name:
        folders.append(place)
    for folder in folders:
        found = [_plain_or_gz(folder / stem) for stem in FILES[part]]
        if found[0] and found[1]:
            return found[0], found[1]
    return None


def _plain_or_gz(path: Path) -> Path | None:
    return next((file for file in (path.with_name(path.name + ".gz"), path) if file.is_file()), None)


def find_files(name: str, part: str, fetch: bool) -> Files | None:
    """(images, labels) of a data set on this machine; else downloaded into the cache, or None without `fetch`.

    Raises
    ------
    DigestError, FetchError
    """
    for place in data_places():
        found = files_in(place, name, part)
        if found is not None:
            return found
    if not fetch:
        return None
    known, folder = DATASETS[name], cache_folder() / "data" / name
    images, labels = (
        download([home + stem + ".gz" for home in known.homes], folder / (stem + ".gz"), known.sha256[stem + ".gz"])
        for stem in FILES[part]
    )
    return images, labels
