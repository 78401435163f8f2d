"""Pickles without `pickle`: its opcodes on a stack of plain values; nothing is imported, nothing is called."""

from __future__ import annotations

import pickletools
import struct
from abc import ABC, abstractmethod
from typing import IO, Any, Mapping, NoReturn

__all__ = ["BadPickle", "Called", "Data", "Machine"]

_MAX_OPCODES = 20000
_MAX_TEXT = 256

_OPCODES = {opcode.code: opcode.name for opcode in pickletools.opcodes}
# Those that are known, by the layout of what follows them.
_NUMBERS = {"BININT": "<i", "BININT1": "<B", "BININT2": "<H", "BINFLOAT": ">d"}
_DATA = {"SHORT_BINSTRING": "<B", "BINSTRING": "<I", "SHORT_BINBYTES": "<B", "BINBYTES": "<I", "BINBYTES8": "<Q"}
_TEXTS = {"SHORT_BINUNICODE": "<B", "BINUNICODE": "<I", "BINUNICODE8": "<Q"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PUTS = {"BINPUT": "<B", "LONG_BINPUT": "<I"}
_GETS = {"BINGET": "<B", "LONG_BINGET": "<I"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class BadPickle(Exception):
    """What is wrong with a file, as the end of a sentence."""


class Data:
    """Bytes of the stream; `short` holds them where they may be a text."""

    def __init__(self, start: int, length: int, short: bytes | None) -> None:
        self.start, self.length, self.short = start, length, short


class Called:
    """Base of what `Machine.call` gives."""


class _Mark:
    pass


class _Name:
    """A known name; nothing is looked up for it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


class Machine(ABC):
    """The stack machine of `pickle`, for values that only ever describe.

    Numbers, texts, tuples, lists and dicts with texts as keys are built. Bytes stay in the stream. A name is
    one of `names`, or refused; what is called and what gets a state is up to `call` and `give_state`.

    Parameters
    ----------
    stream, size
        The pickle, up to the end of the stream at byte `size`.
    names
        By (module, name): what `call` sees in place of a global.
    expected
        What the file should be, for messages.
    """

    def __init__(self, stream: IO[bytes], size: int, names: Mapping[tuple[str, str], str], expected: str) -> None:
        self._stream, self._size, self._names, self._expected = stream, size, names, expected
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    @abstractmethod
    def call(self, name: str, arguments: tuple[Any, ...]) -> Called:
        """What stands for a call of one of the names."""

    @abstractmethod
    def give_state(self, target: Called, state: Any) -> None:
        """What is done with the state of something that `call` gave."""

    def run(self) -> Any:
        """The value of the whole pickle."""
        for _ in range(_MAX_OPCODES):
            code = self._stream.read(1)
            name = _OPCODES.get(code.decode("latin-1"))
            if name is None:
                self.refuse(f"opcode {code!r}" if code else "the end of the file: it is cut off")
            if name == "STOP":
                value = self._pop()
                if self._stack or self._stream.read(1):
                    self.refuse("something behind the end")
                return value
            self._step(name)
        raise BadPickle(f"has over {_MAX_OPCODES} opcodes: expected {self._expected}")

    def refuse(self, what: str) -> NoReturn:
        """Raise BadPickle as ``holds WHAT at byte ...``."""
        raise BadPickle(f"holds {what} at byte {self._stream.tell()}: expected {self._expected}")

    def text(self, value: Any) -> str:
        """`value` as a text, be it one or bytes."""
        if isinstance(value, Data) and value.short is not None:
            return value.short.decode("latin-1")
        if not isinstance(value, str):
            self.refuse("a {} in place of a text".format(type(value).__name__.strip("_").lower()))
        return value

    def read(self, data: Data) -> bytes:
        """The bytes that `data` stands for."""
        place = self._stream.tell()
        self._stream.seek(data.start)
        found = self._stream.read(data.length)
        self._stream.seek(place)
        return found

    # -- bytes -------------------------------------------------------------------------------------------

    def _number(self, layout: str) -> Any:
        need = struct.calcsize(layout)
        data = self._stream.read(need)
        if len(data) != need:
            self.refuse("the end of the file: it is cut off")
        return struct.unpack(layout, data)[0]

    def _data(self, layout: str) -> Data:
        length, start = self._number(layout), self._stream.tell()
        if length > self._size - start:
            self.refuse(f"{length} bytes of data behind which the file is cut off")
        if length <= _MAX_TEXT:
            return Data(start, length, self._stream.read(length))
        self._stream.seek(start + length)
        return Data(start, length, None)

    def _line(self) -> str:
        line = self._stream.readline(_MAX_TEXT)
        if not line.endswith(b"\n"):
            self.refuse("a name without end")
        return line[:-1].decode("latin-1")

    # -- stack -------------------------------------------------------------------------------------------

    def _pop(self) -> Any:
        if not self._stack or self._stack[-1] is _Mark:
            self.refuse("an opcode that finds nothing")
        return self._stack.pop()

    def _top(self, kind: Any) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            self.refuse("an opcode that does not fit what precedes it")
        return self._stack[-1]

    def _to_mark(self) -> list[Any]:
        found: list[Any] = []
        while self._stack and self._stack[-1] is not _Mark:
            found.append(self._stack.pop())
        if not self._stack:
            self.refuse("the end of something that has no beginning")
        self._stack.pop()
        return found[::-1]

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
                self.refuse("a reference to nothing")
            push(self._memo[key])
        else:
            handler = self._HANDLERS.get(name)
            if handler is None:
                self.refuse(f"opcode {name}")
            handler(self)

    def _decoded(self, data: Data) -> str:
        if data.short is None:
            self.refuse(f"a text of {data.length} bytes")
        try:
            return data.short.decode("utf-8")
        except UnicodeDecodeError:
            self.refuse("a text that is not UTF-8")

    def _long(self) -> None:
        length = self._number("<B")
        data = self._stream.read(length)
        if length > 8 or len(data) != length:
            self.refuse(f"a number of {length} bytes")
        self._stack.append(int.from_bytes(data, "little", signed=True))

    def _proto(self) -> None:
        version = self._number("<B")
        if not 2 <= version <= 4:
            self.refuse(f"pickle protocol {version}")

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
        self._top(dict)[self.text(key)] = value

    def _set_items(self) -> None:
        values = self._to_mark()
        if len(values) % 2:
            self.refuse("a key without value")
        self._top(dict).update((self.text(key), value) for key, value in zip(values[::2], values[1::2]))

    def _global(self) -> None:
        self._name(self._line(), self._line())

    def _stack_global(self) -> None:
        name, module = self.text(self._pop()), self.text(self._pop())
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        kind = self._names.get((module, name))
        if kind is None:
            self.refuse("the name {!r}, which is not allowed".format(module + "." + name))
        self._stack.append(_Name(kind))

    def _reduce(self) -> None:
        arguments, name = self._pop(), self._pop()
        if not isinstance(arguments, tuple) or not isinstance(name, _Name):
            self.refuse("a call of something that is no name")
        parts = tuple(part.kind if isinstance(part, _Name) else part for part in arguments)
        self._stack.append(self.call(name.kind, parts))

    def _build(self) -> None:
        state = self._pop()
        self.give_state(self._top(Called), state)

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
