"""`.npy` files that hold a pickled dict of arrays, read without executing anything.

numpy's own reader hands such a file to `pickle`, which runs whatever the file names. Here the opcodes are
looked at one by one: numbers, texts, tuples, lists and dicts are built; of all names only the three that numpy
writes for an array are known, and they are never called. Data of arrays stay in the file until they are used.
"""

from __future__ import annotations

import os
import pickletools
import struct
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from ..errors import DescriptorError
from ..npyfile import read_header

__all__ = ["read_pickled"]

_MAX_FILE = 1 << 30
_MAX_OPCODES = 20000
_MAX_TEXT = 256  # names of arrays, dtypes and globals
_MAPPED = 1 << 20  # larger arrays stay in the file
_MAX_SIDES = 8

_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_NAMES = {(module, "_reconstruct"): "reconstruct" for module in _MODULES}
_NAMES.update({("numpy", "ndarray"): "ndarray", ("numpy", "dtype"): "dtype"})
_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")

_OPCODES = {opcode.code: opcode.name for opcode in pickletools.opcodes}
# Those that are known, by the layout of what follows them.
_NUMBERS = {"BININT": "<i", "BININT1": "<B", "BININT2": "<H", "BINFLOAT": ">d"}
_DATA = {"SHORT_BINSTRING": "<B", "BINSTRING": "<I", "SHORT_BINBYTES": "<B", "BINBYTES": "<I", "BINBYTES8": "<Q"}
_TEXTS = {"SHORT_BINUNICODE": "<B", "BINUNICODE": "<I", "BINUNICODE8": "<Q"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PUTS = {"BINPUT": "<B", "LONG_BINPUT": "<I"}
_GETS = {"BINGET": "<B", "LONG_BINGET": "<I"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Bad(Exception):
    """What is wrong with the file, as the end of a sentence."""


class _Mark:
    pass


class _Name:
    """One of the names that numpy writes; nothing is looked up for it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


class _Data:
    """Bytes of the file; `short` holds them where they may be a text."""

    def __init__(self, start: int, length: int, short: bytes | None) -> None:
        self.start, self.length, self.short = start, length, short


class _Dtype:
    def __init__(self, code: str) -> None:
        self.code, self.order = code, "|"


class _Array:
    def __init__(self) -> None:
        self.value: Any = None  # ndarray, or the list of an array of objects


def read_pickled(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Arrays of a `.npy` file that ``np.save(file, a_dict)`` wrote, under Python 2 or 3, protocols 2 to 4.

    Returns
    -------
    dict of name to read-only array
        Those of 1 MiB and more are mapped: their data are read from the file where they are used.

    Raises
    ------
    DescriptorError
        Anything but a dict of texts to arrays of plain numbers, a damaged file, or one of over 1 GiB.
    """
    file = Path(path)
    try:
        if not file.is_file():
            raise _Bad("is not there" if not file.exists() else "is no regular file")
        with file.open("rb") as stream:
            size = file.stat().st_size
            if stream.read(3) == b"BZh":
                raise _Bad("is compressed by bzip2: expected the unpacked file (bunzip2)")
            stream.seek(0)
            if size > _MAX_FILE:
                raise _Bad("has {} bytes: expected at most {}".format(size, _MAX_FILE))
            _check_header(stream)
            return _Machine(stream, size, file).run()
    except _Bad as error:
        problem = str(error)
    except OSError as error:
        problem = "cannot be read: {}".format(error.strerror or error)
    raise DescriptorError("{} {}".format(file, problem))


def _check_header(stream: IO[bytes]) -> None:
    try:
        shape, _, dtype = read_header(stream)
    except OSError:
        raise
    except Exception as error:  # whatever numpy's parser of headers raises
        raise _Bad("is no .npy file: {}".format(error)) from None
    if dtype != np.dtype(object) or shape != ():
        found = "an array {} of {}".format(shape, dtype)
        raise _Bad("holds {}: expected a dict of arrays, as np.save writes it".format(found))


class _Machine:
    """The stack machine of `pickle`, with values that only ever describe."""

    def __init__(self, stream: IO[bytes], size: int, path: Path) -> None:
        self._stream, self._size, self._path = stream, size, path
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> dict[str, np.ndarray]:
        for _ in range(_MAX_OPCODES):
            code = self._stream.read(1)
            name = _OPCODES.get(code.decode("latin-1"))
            if name is None:
                self._refuse("opcode {!r}".format(code) if code else "the end of the file: it is cut off")
            if name == "STOP":
                return self._result(self._pop())
            self._step(name)
        raise _Bad("has over {} opcodes: expected a dict of arrays".format(_MAX_OPCODES))

    def _refuse(self, what: str) -> NoReturn:
        raise _Bad("holds {} at byte {}: expected a pickled dict of numpy arrays".format(what, self._stream.tell()))

    # -- bytes -------------------------------------------------------------------------------------------

    def _number(self, layout: str) -> Any:
        need = struct.calcsize(layout)
        data = self._stream.read(need)
        if len(data) != need:
            self._refuse("the end of the file: it is cut off")
        return struct.unpack(layout, data)[0]

    def _data(self, layout: str) -> _Data:
        length, start = self._number(layout), self._stream.tell()
        if length > self._size - start:
            self._refuse("{} bytes of data behind which the file is cut off".format(length))
        if length <= _MAX_TEXT:
            return _Data(start, length, self._stream.read(length))
        self._stream.seek(start + length)
        return _Data(start, length, None)

    def _line(self) -> str:
        line = self._stream.readline(_MAX_TEXT)
        if not line.endswith(b"\n"):
            self._refuse("a name without end")
        return line[:-1].decode("latin-1")

    # -- stack -------------------------------------------------------------------------------------------

    def _pop(self) -> Any:
        if not self._stack or self._stack[-1] is _Mark:
            self._refuse("an opcode that finds nothing")
        return self._stack.pop()

    def _top(self, kind: Any) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            self._refuse("an opcode that does not fit what precedes it")
        return self._stack[-1]

    def _to_mark(self) -> list[Any]:
        found: list[Any] = []
        while self._stack and self._stack[-1] is not _Mark:
            found.append(self._stack.pop())
        if not self._stack:
            self._refuse("the end of something that has no beginning")
        self._stack.pop()
        return found[::-1]

    def _text(self, value: Any) -> str:
        if isinstance(value, _Data) and value.short is not None:
            return value.short.decode("latin-1")
        if not isinstance(value, str):
            self._refuse("a {} in place of a text".format(type(value).__name__.strip("_").lower()))
        return value

    # -- opcodes -----------------------------------------------------------------------------------------

    def _step(self, name: str) -> None:
        push = self._stack.append
        if name in _NUMBERS:
            push(self._number(_NUMBERS[name]))
        elif name in _DATA:
            push(self._data(_DATA[name]))
        elif name in _TEXTS:
            push(self._decoded(self._data(_TEXTS[name])))
        elif name in _CONSTANTS:
            push(_CONSTANTS[name])
        elif name in _TUPLES:
            push(tuple([self._pop() for _ in range(_TUPLES[name])][::-1]))
        elif name in _PUTS:
            self._memo[self._number(_PUTS[name])] = self._top(object)
        elif name in _GETS:
            key = self._number(_GETS[name])
            if key not in self._memo:
                self._refuse("a reference to nothing")
            push(self._memo[key])
        else:
            handler = self._HANDLERS.get(name)
            if handler is None:
                self._refuse("opcode {}".format(name))
            handler(self)

    def _decoded(self, data: _Data) -> str:
        if data.short is None:
            self._refuse("a text of {} bytes".format(data.length))
        try:
            return data.short.decode("utf-8")
        except UnicodeDecodeError:
            self._refuse("a text that is not UTF-8")

    def _long(self) -> None:
        length = self._number("<B")
        data = self._stream.read(length)
        if length > 8 or len(data) != length:
            self._refuse("a number of {} bytes".format(length))
        self._stack.append(int.from_bytes(data, "little", signed=True))

    def _proto(self) -> None:
        version = self._number("<B")
        if not 2 <= version <= 4:
            self._refuse("pickle protocol {}".format(version))

    def _frame(self) -> None:
        self._number("<Q")

    def _mark(self) -> None:
        self._stack.append(_Mark)

    def _memoize(self) -> None:
        self._memo[len(self._memo)] = self._top(object)

    def _tuple(self) -> None:
        self._stack.append(tuple(self._to_mark()))

    def _empty_list(self) -> None:
        self._stack.append([])

    def _empty_dict(self) -> None:
        self._stack.append({})

    def _append(self) -> None:
        value = self._pop()
        self._top(list).append(value)

    def _appends(self) -> None:
        values = self._to_mark()
        self._top(list).extend(values)

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._top(dict)[self._text(key)] = value

    def _set_items(self) -> None:
        values = self._to_mark()
        if len(values) % 2:
            self._refuse("a key without value")
        self._top(dict).update((self._text(key), value) for key, value in zip(values[::2], values[1::2]))

    def _global(self) -> None:
        self._name(self._line(), self._line())

    def _stack_global(self) -> None:
        name, module = self._text(self._pop()), self._text(self._pop())
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        kind = _NAMES.get((module, name))
        if kind is None:
            self._refuse("the name {!r}, which is not an array's".format(module + "." + name))
        self._stack.append(_Name(kind))

    def _reduce(self) -> None:
        arguments, name = self._pop(), self._pop()
        if not isinstance(arguments, tuple) or not isinstance(name, _Name):
            self._refuse("a call of something else than numpy's array or dtype")
        first = arguments[0] if arguments else None
        if name.kind == "reconstruct" and isinstance(first, _Name) and first.kind == "ndarray":
            self._stack.append(_Array())
        elif name.kind == "dtype":
            self._stack.append(_Dtype(self._text(first)))
        else:
            self._refuse("a call that numpy does not write")

    def _build(self) -> None:
        state = self._pop()
        target = self._top((_Array, _Dtype))
        if isinstance(target, _Dtype):
            if not isinstance(state, tuple) or len(state) != 8 or state[2:5] != (None, None, None):
                self._refuse("a dtype with parts")
            target.order = self._text(state[1])
            return
        if not isinstance(state, tuple) or len(state) != 5 or target.value is not None:
            self._refuse("an array without its five parts")
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple):
            self._refuse("an array without shape or dtype")
        if dtype.code in ("O", "O8", "O4"):
            if shape != () or not isinstance(data, list) or len(data) != 1:
                self._refuse("an array of objects")
            target.value = data
        else:
            target.value = self._numbers(shape, dtype, bool(fortran), data)

    def _numbers(self, shape: tuple[Any, ...], dtype: _Dtype, fortran: bool, data: Any) -> np.ndarray:
        if dtype.code not in _DTYPES or dtype.order not in ("<", "|"):
            self._refuse("an array of dtype {!r}".format(dtype.order + dtype.code))
        kind = np.dtype("<" + dtype.code)
        count = kind.itemsize
        if len(shape) > _MAX_SIDES:
            self._refuse("an array of {} dimensions".format(len(shape)))
        for side in shape:
            if isinstance(side, bool) or not isinstance(side, int) or side < 0:
                self._refuse("an array whose shape is no tuple of numbers")
            count *= side
        if not isinstance(data, _Data) or data.length != count:
            self._refuse("an array whose data are not as long as its shape says")
        if count >= _MAPPED:
            return np.asarray(np.memmap(str(self._path), kind, "r", data.start, shape, "F" if fortran else "C"))
        where = self._stream.tell()
        self._stream.seek(data.start)
        values = np.frombuffer(self._stream.read(count), kind)
        self._stream.seek(where)
        found: np.ndarray = values.reshape(shape, order="F" if fortran else "C")
        return found

    def _result(self, value: Any) -> dict[str, np.ndarray]:
        if self._stack or self._stream.read(1):
            self._refuse("something behind the end")
        inner = value.value if isinstance(value, _Array) else None
        if not isinstance(inner, list) or not isinstance(inner[0], dict):
            raise _Bad("holds no dict: expected a pickled dict of numpy arrays")
        found: dict[str, np.ndarray] = {}
        for key, item in inner[0].items():
            if not isinstance(item, _Array) or not isinstance(item.value, np.ndarray):
                raise _Bad("holds no array of numbers under {!r}: expected arrays only".format(key))
            found[key] = item.value
        return found

    _HANDLERS = {
        "PROTO": _proto,
        "FRAME": _frame,
        "LONG1": _long,
        "MARK": _mark,
        "MEMOIZE": _memoize,
        "TUPLE": _tuple,
        "EMPTY_LIST": _empty_list,
        "EMPTY_DICT": _empty_dict,
        "APPEND": _append,
        "APPENDS": _appends,
        "SETITEM": _set_item,
        "SETITEMS": _set_items,
        "GLOBAL": _global,
        "STACK_GLOBAL": _stack_global,
        "REDUCE": _reduce,
        "BUILD": _build,
    }
