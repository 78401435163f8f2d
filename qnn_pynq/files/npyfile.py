"""Reading of `.npy` files that nobody vouches for: no pickle, and nothing allocated before it is checked."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, Iterator, NamedTuple, Sequence

import numpy as np

from ..errors import DescriptorError
from .bounded import MOST_HELD, Room, TooMuch, mebibytes, read_into

__all__ = [
    "MOST_ARRAYS",
    "NPZ_ERRORS",
    "Archive",
    "ArrayFolder",
    "BadArray",
    "Header",
    "all_finite",
    "blocks",
    "open_npz",
    "parse_array",
    "read_array",
    "read_header",
]

# What numpy and zipfile raise on damaged, encrypted or foreign .npz files.
NPZ_ERRORS = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)


MOST_ARRAYS = 512 << 20
"""Bytes of all arrays that one network names; the dense layers of DoReFa-Net are the largest with 223 MiB."""

_MAPPED = 16 << 20  # larger arrays stay in the file
_MOST_READ = 64 << 20  # of all others together; what is beyond is mapped too
_MOST_HEADER = 4096  # characters; numpy writes 118 for plain arrays
_MOST_SIDES = 32
_BLOCK = 1 << 20  # elements that are looked at at once
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what numpy writes; others unpack without a bound
_DIRECTORY = 1 << 20


class Header(NamedTuple):
    """What the header of a `.npy` says."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of data."""
        count = self.dtype.itemsize
        for side in self.shape:
            count *= side
        return count


class _Pieces:
    """A file of which zipfile cannot take more than a directory at once."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell, self.close = stream.seek, stream.tell, stream.close

    def seekable(self) -> bool:
        return True

    def read(self, count: int = -1) -> bytes:
        found = self._stream.read(_DIRECTORY + 1) if count < 0 or count > _DIRECTORY else self._stream.read(count)
        if len(found) > _DIRECTORY:
            raise TooMuch(f"a directory of over {mebibytes(_DIRECTORY)}: expected an archive of few arrays")
        return found


class Archive:
    """The arrays of an open `.npz` file, each read when it is asked for, `room` for all of them."""

    def __init__(self, path: Path, most: int) -> None:
        self.room = Room(most, "the arrays of the archive")
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise OSError("no regular file")
        self._stream = path.open("rb")
        try:
            self._zip = self._open()
        except BaseException:
            self._stream.close()
            raise
        self._names = {name[:-4] if name.endswith(".npy") else name: name for name in self._zip.namelist()}
        self.files = list(self._names)

    def _open(self) -> zipfile.ZipFile:
        start = self._stream.read(6)
        self._stream.seek(0)
        if start == b"\x93NUMPY":
            shape = read_header(self._stream).shape
            raise ValueError(f"one array of shape {shape}, expected an archive of several (np.savez)")
        if start[:4] not in (b"PK\3\4", b"PK\5\6"):
            raise ValueError("expected a zip archive of arrays (np.savez)")
        return zipfile.ZipFile(_Pieces(self._stream))

    def keys(self) -> list[str]:
        return self.files

    def header(self, name: str) -> Header:
        """What the header of an array says; nothing else is read."""
        with self._member(name) as stream:
            return read_header(stream)

    def __getitem__(self, name: str) -> np.ndarray:
        with self._member(name) as stream:
            header = read_header(stream)
            shape, fortran, dtype = header
            if dtype.hasobject:
                raise ValueError(f"{name} has Python objects inside: expected plain numbers")
            rest = self._zip.getinfo(self._names[name]).file_size - stream.tell()
            if rest != header.nbytes:
                raise ValueError(f"{name} has {rest} bytes of data: expected {header.nbytes}")
            self.room.take(header.nbytes, name)
            data: Any = np.empty(header.nbytes, np.uint8)
            if read_into(stream, memoryview(data)) != header.nbytes or stream.read(1):  # the last checks the CRC too
                raise ValueError(f"{name} is cut off, or longer than it says")
        return np.ndarray(shape, dtype, data, order="F" if fortran else "C")

    def array(self, name: str, dtypes: Sequence[str], shape: Sequence[int | None]) -> np.ndarray:
        """An array that is as `parse_array` wants it, else BadArray; read-only."""
        with self._member(name) as stream:
            size = self._zip.getinfo(self._names[name]).file_size
            return parse_array(stream, size, dtypes, shape, None, self.room)

    def _member(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(f"{name} is not a file in the archive")
        info = self._zip.getinfo(self._names[name])
        if info.compress_type not in _PACKED:
            raise ValueError(f"{name} is packed by method {info.compress_type}: expected stored or deflated")
        stream = self._zip.open(info)
        if not info.filename.endswith(".npy"):
            stream.close()
            raise ValueError(f"{name} is no .npy array")
        return stream

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._zip.close()
        self._stream.close()


def open_npz(path: Path, most: int = MOST_HELD) -> Archive:
    """The archive `path`, open; one of `NPZ_ERRORS` where it is none, a plain `.npy` file included.

    Its arrays take at most `most` bytes together: one that goes beyond is one of `NPZ_ERRORS` before it is read.
    """
    return Archive(path, most)


class BadArray(Exception):
    """What is wrong with an array file, as the end of a sentence."""


class ArrayFolder:
    """The `.npy` files that one descriptor names: first the headers of all, then the contents, each file once.

    Until `reading` is set, `array` looks at headers and sizes alone and gives read-only zeros of the right dtype and
    shape, which take no memory. So the whole descriptor can be checked before anything is read.

    Parameters
    ----------
    folder
        Where they lie.
    source
        Descriptor file, for messages.
    most
        Bytes of all arrays together; a file counts as often as it is named.
    """

    def __init__(self, folder: Path, source: str, most: int = MOST_ARRAYS) -> None:
        self.reading = False
        self._folder, self._source = folder, source
        self._room = Room(most, "all arrays together")
        self._held = Room(_MOST_READ)
        self._headers: dict[str, tuple[Header, int, int]] = {}  # with where the data begin, and the file's size
        self._read: dict[str, np.ndarray] = {}

    def array(self, name: str, dtypes: Sequence[str], shape: Sequence[int | None], where: str) -> np.ndarray:
        """The file `name`, which the field `where` names; see `read_array`."""
        if not self.reading:
            return self._measured(name, dtypes, shape, where)
        found = self._read.get(name)
        if found is None:
            found = self._read[name] = self._contents(name, where)
        return found

    def _contents(self, name: str, where: str) -> np.ndarray:
        header, start, size = self._headers[name]
        with _Opened(self._folder, name, self._source, where) as (stream, now):
            if now != size:
                raise BadArray(f"has {now} bytes now, it had {size}: it is being written")
            stream.seek(start)
            return _data(stream, header, self._folder / name, self._held)

    def _measured(self, name: str, dtypes: Sequence[str], shape: Sequence[int | None], where: str) -> np.ndarray:
        with _Opened(self._folder, name, self._source, where) as (stream, size):
            if name in self._headers:
                header, start, size = self._headers[name]
            else:
                header, start = _parsed_header(stream)
                self._headers[name] = header, start, size
            _check_header(header, size - start, dtypes, shape)
            if header.fortran and sum(side > 1 for side in header.shape) > 1:
                raise BadArray(_FORTRAN)
            try:
                self._room.take(header.nbytes, "with this")
            except TooMuch as error:
                raise BadArray(str(error)) from None
        return np.broadcast_to(np.zeros((), header.dtype), header.shape)


def read_array(
    folder: Path,
    name: str,
    dtypes: Sequence[str],
    shape: Sequence[int | None],
    source: str,
    where: str,
    room: Room | None = None,
) -> np.ndarray:
    """The `.npy` file `name` in `folder`, in C order, read-only.

    Parameters
    ----------
    dtypes, shape
        As in `parse_array`.
    source, where
        Descriptor file and field, for messages.
    room
        What is still read; without room for it the array is mapped.

    Raises
    ------
    DescriptorError
        Missing, not `.npy`, objects inside, wrong dtype or shape, Fortran order, truncated or too long.
    """
    with _Opened(folder, name, source, where) as (stream, size):
        array = parse_array(stream, size, dtypes, shape, folder / name, room)
        if not array.flags.c_contiguous:
            raise BadArray(_FORTRAN)
        return array


_FORTRAN = "is in Fortran order: expected C order (np.ascontiguousarray)"


class _Opened:
    """A file of a descriptor, open, and its size; what is wrong with it becomes a DescriptorError."""

    def __init__(self, folder: Path, name: str, source: str, where: str) -> None:
        self._path = folder / name
        self._words = f"{source}: {where}: {name}"

    def __enter__(self) -> tuple[IO[bytes], int]:
        try:
            if not self._path.is_file():
                raise DescriptorError(f"{self._words} is not there: expected a file {self._path}")
            size = self._path.stat().st_size
            self._stream = self._path.open("rb")
        except OSError as error:
            raise DescriptorError(f"{self._words} cannot be read: {error.strerror or error}") from error
        return self._stream, size

    def __exit__(self, kind: Any, error: Any, _: Any) -> None:
        self._stream.close()
        if isinstance(error, BadArray):
            raise DescriptorError(f"{self._words} {error}") from error
        if isinstance(error, OSError):
            raise DescriptorError(f"{self._words} cannot be read: {error.strerror or error}") from error


def parse_array(
    stream: IO[bytes],
    size: int,
    dtypes: Sequence[str],
    shape: Sequence[int | None],
    path: Path | None = None,
    room: Room | None = None,
) -> np.ndarray:
    """The array in a `.npy` stream of `size` bytes, read-only.

    Parameters
    ----------
    dtypes
        Names of the dtypes that are allowed (``uint8``), in the byte order of this machine.
    shape
        Expected shape; None stands for any length from 1.
    path
        The file behind the stream: 16 MiB and more, and what `room` does not hold, are mapped, and read where they
        are used.
    room
        What may be read; by default `MOST_HELD`.

    Raises
    ------
    BadArray
        Not `.npy`, objects inside, wrong dtype or shape, truncated, too long, or more than there is room for.
    """
    header, start = _parsed_header(stream)
    _check_header(header, size - start, dtypes, shape)
    return _data(stream, header, path, Room() if room is None else room)


def _data(stream: IO[bytes], header: Header, path: Path | None, room: Room) -> np.ndarray:
    """What follows a header that is as it should be."""
    order, count, start = "F" if header.fortran else "C", header.nbytes, stream.tell()
    if path is not None and (count >= _MAPPED or count > room.left):
        return np.asarray(np.memmap(str(path), header.dtype, "r", start, header.shape, order))  # type: ignore[call-overload]
    try:
        room.take(count, "this array")
    except TooMuch as error:
        raise BadArray(f"is too large: {error}") from None
    data: Any = np.empty(count, np.uint8)
    have = read_into(stream, memoryview(data))
    if have != count:
        raise BadArray(f"has {have} bytes of data: expected {count}")
    data.flags.writeable = False
    return np.ndarray(header.shape, header.dtype, data, order=order)  # type: ignore[arg-type]


def _parsed_header(stream: IO[bytes]) -> tuple[Header, int]:
    """The header of a stream, and where the data begin."""
    try:
        return read_header(stream), stream.tell()
    except OSError:
        raise
    except Exception as error:  # numpy's header parser lets everything through that literal_eval may raise
        raise BadArray(f"is no .npy file: {error}") from None


def _check_header(header: Header, size: int, dtypes: Sequence[str], shape: Sequence[int | None]) -> None:
    """Raise BadArray unless a header, and `size` bytes behind it, are as `parse_array` wants them."""
    found, dtype = header.shape, header.dtype
    if dtype.hasobject:
        raise BadArray("has Python objects inside: expected plain {}".format(" or ".join(dtypes)))
    if dtype.name not in dtypes or not dtype.isnative:
        raise BadArray("has dtype {}: expected {}".format(dtype.str, " or ".join(dtypes)))
    same = len(found) == len(shape)
    if not same or any(n < 1 if s is None else n != s for n, s in zip(found, shape)):
        expected = ", ".join("n" if s is None else str(s) for s in shape) + ("," if len(shape) == 1 else "")
        raise BadArray(f"has shape {tuple(found)}: expected ({expected})")
    if size != header.nbytes:
        raise BadArray(f"has {size} bytes of data: expected {header.nbytes}")


def read_header(stream: Any) -> Header:
    """The header of a `.npy` stream; ValueError and what else numpy likes to raise on damaged ones."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError("version {}.{} of the format is not for plain arrays".format(*version))
    width = 2 if version == (1, 0) else 4
    length = stream.read(width)
    count = int.from_bytes(length, "little")
    if count > _MOST_HEADER:
        raise TooMuch(f"a header of {count} bytes: expected at most {_MOST_HEADER}")
    copy = io.BytesIO(length + stream.read(count))
    if width == 2:
        header = Header(*np.lib.format.read_array_header_1_0(copy))
    else:
        header = Header(*np.lib.format.read_array_header_2_0(copy))
    if len(header.shape) > _MOST_SIDES:
        raise TooMuch(f"{len(header.shape)} dimensions: expected at most {_MOST_SIDES}")
    return header


def blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    """Parts of an array of any contiguous order, flat, of up to a million elements: no copy of large ones is made."""
    flat = values.ravel(order="K")
    for start in range(0, flat.size, _BLOCK):
        yield flat[start : start + _BLOCK]


def all_finite(values: np.ndarray) -> bool:
    """True where no element is infinite or not a number."""
    return all(bool(np.isfinite(part).all()) for part in blocks(values))
