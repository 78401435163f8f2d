"""Reading of `.npy` files that nobody vouches for: no pickle, and nothing allocated before it is checked."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, Sequence

import numpy as np

from ..errors import DescriptorError

__all__ = ["NPZ_ERRORS", "BadArray", "open_npz", "parse_array", "read_array", "read_header"]

# What numpy and zipfile raise on damaged, encrypted or foreign .npz files.
NPZ_ERRORS = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)


_MAPPED = 16 << 20


class _Archive:
    """The arrays of an open `.npz` file; ValueError for a member that is none, which numpy gives as bytes."""

    def __init__(self, found: Any) -> None:
        self._found = found
        self.files = list(found.files)

    def keys(self) -> list[str]:
        return self.files

    def __getitem__(self, name: str) -> np.ndarray:
        array = self._found[name]
        if not isinstance(array, np.ndarray):
            raise ValueError("{} is no .npy array".format(name))
        return array

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._found.close()


def open_npz(path: Path) -> Any:
    """The archive `path`, open; one of `NPZ_ERRORS` where it is none, a plain `.npy` file included."""
    try:
        found = np.load(str(path), allow_pickle=False)
    except ValueError:  # in which numpy recommends to load a pickle
        raise ValueError("expected a zip archive of arrays (np.savez)") from None
    if isinstance(found, np.ndarray):
        raise ValueError("one array of shape {}, expected an archive of several (np.savez)".format(found.shape))
    return _Archive(found)


class BadArray(Exception):
    """What is wrong with an array file, as the end of a sentence."""


def read_array(
    folder: Path, name: str, dtypes: Sequence[str], shape: Sequence[int | None], source: str, where: str
) -> np.ndarray:
    """The `.npy` file `name` in `folder`, in C order, read-only.

    Parameters
    ----------
    dtypes, shape
        As in `parse_array`.
    source, where
        Descriptor file and field, for messages.

    Raises
    ------
    DescriptorError
        Missing, not `.npy`, objects inside, wrong dtype or shape, Fortran order, truncated or too long.
    """
    path = folder / name
    try:
        if not path.is_file():
            raise BadArray("is not there: expected a file {}".format(path))
        with path.open("rb") as stream:
            array = parse_array(stream, path.stat().st_size, dtypes, shape, path)
        if not array.flags.c_contiguous:
            raise BadArray("is in Fortran order: expected C order (np.ascontiguousarray)")
        return array
    except BadArray as error:
        problem = str(error)
    except OSError as error:
        problem = "cannot be read: {}".format(error.strerror or error)
    raise DescriptorError("{}: {}: {} {}".format(source, where, name, problem))


def parse_array(
    stream: IO[bytes], size: int, dtypes: Sequence[str], shape: Sequence[int | None], path: Path | None = None
) -> np.ndarray:
    """The array in a `.npy` stream of `size` bytes, read-only.

    Parameters
    ----------
    dtypes
        Names of the dtypes that are allowed (``uint8``), in the byte order of this machine.
    shape
        Expected shape; None stands for any length from 1.
    path
        The file behind the stream: 16 MiB and more are mapped, and read where they are used.

    Raises
    ------
    BadArray
        Not `.npy`, objects inside, wrong dtype or shape, truncated or too long.
    """
    try:
        found, fortran, dtype = read_header(stream)
        start = stream.tell()
    except OSError:
        raise
    except Exception as error:  # numpy's header parser lets everything through that literal_eval may raise
        raise BadArray("is no .npy file: {}".format(error)) from None
    if dtype.hasobject:
        raise BadArray("has Python objects inside: expected plain {}".format(" or ".join(dtypes)))
    if dtype.name not in dtypes or not dtype.isnative:
        raise BadArray("has dtype {}: expected {}".format(dtype.str, " or ".join(dtypes)))
    same = len(found) == len(shape)
    if not same or any(n < 1 if s is None else n != s for n, s in zip(found, shape)):
        expected = ", ".join("n" if s is None else str(s) for s in shape) + ("," if len(shape) == 1 else "")
        raise BadArray("has shape {}: expected ({})".format(tuple(found), expected))
    count = dtype.itemsize
    for length in found:
        count *= int(length)
    if size - start != count:
        raise BadArray("has {} bytes of data: expected {}".format(size - start, count))
    if path is not None and count >= _MAPPED:
        return np.asarray(np.memmap(str(path), dtype, "r", start, tuple(found), "F" if fortran else "C"))
    data = stream.read(count)
    if len(data) != count:
        raise BadArray("has {} bytes of data: expected {}".format(len(data), count))
    return np.frombuffer(data, dtype).reshape(
        found, order="F" if fortran else "C"
    )  # of bytes, hence read-only


def read_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, Fortran order, dtype) of a `.npy` stream; numpy raises what it likes on damaged ones."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError("version {}.{} of the format is not for plain arrays".format(*version))
