"""`.npy` files that hold a pickled dict of arrays, read without executing anything.

numpy's own reader hands such a file to `pickle`, which runs whatever the file names. Here the opcodes are
looked at one by one: numbers, texts, tuples, lists and dicts are built; of all names only the three that numpy
writes for an array are known, and they are never called. Data of arrays stay in the file until they are used.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import DescriptorError
from ..files.npyfile import read_header
from .opcodes import BadPickle, Called, Data, Machine

__all__ = ["read_pickled"]

_MAX_FILE = 512 << 20
_MAPPED = 1 << 20  # larger arrays stay in the file
_MOST_READ = 64 << 20  # all others together
_MAX_SIDES = 8
_EXPECTED = "a pickled dict of numpy arrays"

_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_NAMES = {(module, "_reconstruct"): "reconstruct" for module in _MODULES}
_NAMES.update({("numpy", "ndarray"): "ndarray", ("numpy", "dtype"): "dtype"})
_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


def read_pickled(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Arrays of a `.npy` file that ``np.save(file, a_dict)`` wrote, under Python 2 or 3, protocols 2 to 4.

    Returns
    -------
    dict of name to read-only array
        Those of 1 MiB and more are mapped: their data are read from the file where they are used.

    Raises
    ------
    DescriptorError
        Anything but a dict of texts to arrays of plain numbers, a damaged file, one of over 512 MiB, one with over
        64 MiB in small arrays, or arrays that share data and are larger than the file.
    """
    file = Path(path)
    try:
        if not file.is_file():
            raise BadPickle("is not there" if not file.exists() else "is no regular file")
        with file.open("rb") as stream:
            size = file.stat().st_size
            if stream.read(3) == b"BZh":
                raise BadPickle("is compressed by bzip2: expected the unpacked file (bunzip2)")
            stream.seek(0)
            if size > _MAX_FILE:
                raise BadPickle(f"has {size} bytes: expected at most {_MAX_FILE}")
            _check_header(stream)
            return _unboxed(_Arrays(stream, size, file).run())
    except BadPickle as error:
        problem = str(error)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
    raise DescriptorError(f"{file} {problem}")


def _check_header(stream: IO[bytes]) -> None:
    try:
        shape, _, dtype = read_header(stream)
    except OSError:
        raise
    except Exception as error:  # whatever numpy's parser of headers raises
        raise BadPickle(f"is no .npy file: {error}") from None
    if dtype != np.dtype(object) or shape != ():
        found = f"an array {shape} of {dtype}"
        raise BadPickle(f"holds {found}: expected a dict of arrays, as np.save writes it")


class _Dtype(Called):
    def __init__(self, code: str) -> None:
        self.code, self.order = code, "|"


class _Array(Called):
    def __init__(self) -> None:
        self.value: Any = None  # ndarray, or the list of an array of objects


class _Arrays(Machine):
    """The calls with which numpy writes an array."""

    def __init__(self, stream: IO[bytes], size: int, path: Path) -> None:
        super().__init__(stream, size, _NAMES, _EXPECTED)
        self._path = path
        # Bytes that arrays may still have, and those that are read.
        self._left, self._left_to_read = size, _MOST_READ

    def call(self, name: str, arguments: tuple[Any, ...]) -> Called:
        first = arguments[0] if arguments else None
        if name == "dtype":
            return _Dtype(self.text(first))
        if name != "reconstruct" or first != "ndarray":
            self.refuse("a call that numpy does not write")
        return _Array()

    def give_state(self, target: Called, state: Any) -> None:
        if isinstance(target, _Dtype):
            if not isinstance(state, tuple) or len(state) != 8 or any(part is not None for part in state[2:5]):
                self.refuse("a dtype with parts")
            target.order = self.text(state[1])
            return
        assert isinstance(target, _Array)
        if not isinstance(state, tuple) or len(state) != 5 or target.value is not None:
            self.refuse("an array without its five parts")
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple):
            self.refuse("an array without shape or dtype")
        if dtype.code in ("O", "O8", "O4"):
            if shape != () or not isinstance(data, list) or len(data) != 1:
                self.refuse("an array of objects")
            target.value = data
        else:
            target.value = self._numbers(shape, dtype, bool(fortran), data)

    def _numbers(self, shape: tuple[Any, ...], dtype: _Dtype, fortran: bool, data: Any) -> np.ndarray:
        if dtype.code not in _DTYPES or dtype.order not in ("<", "|"):
            self.refuse(f"an array of dtype {dtype.order + dtype.code!r}")
        kind = np.dtype("<" + dtype.code)
        count = kind.itemsize
        if len(shape) > _MAX_SIDES:
            self.refuse(f"an array of {len(shape)} dimensions")
        for side in shape:
            if isinstance(side, bool) or not isinstance(side, int) or not 0 <= side <= _MAX_FILE:
                self.refuse("an array whose shape is no tuple of numbers")
            count *= side
        if not isinstance(data, Data) or data.length != count:
            self.refuse("an array whose data are not as long as its shape says")
        self._left -= count
        if self._left < 0:
            self.refuse("data that several arrays share, more than the whole file")
        if count >= _MAPPED:
            return np.asarray(np.memmap(str(self._path), kind, "r", data.start, shape, "F" if fortran else "C"))
        if not count:
            self.refuse("an array without elements")
        self._left_to_read -= count
        if self._left_to_read < 0:
            self.refuse(f"more than {_MOST_READ} bytes in arrays that are not mapped")
        values = np.frombuffer(self.read(data), kind)
        found: np.ndarray = values.reshape(shape, order="F" if fortran else "C")
        return found


def _unboxed(value: Any) -> dict[str, np.ndarray]:
    """What the array of one object holds."""
    inner = value.value if isinstance(value, _Array) else None
    if not isinstance(inner, list) or not isinstance(inner[0], dict):
        raise BadPickle("holds no dict: expected " + _EXPECTED)
    found: dict[str, np.ndarray] = {}
    for key, item in inner[0].items():
        if not isinstance(item, _Array) or not isinstance(item.value, np.ndarray):
            raise BadPickle(f"holds no array of numbers under {key!r}: expected arrays only")
        found[key] = item.value
    return found
