"""Reading and writing of descriptor files: every JSON field typed, none forgotten."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any, Callable, NoReturn, Sequence

from ..errors import DescriptorError
from .bounded import TooMuch, read_bytes

__all__ = ["MOST_ITEMS", "Fields", "check_format", "fail", "item_path", "plain_name", "read_json", "show",
           "unprintable", "write_json"]

MOST_ITEMS = 64
"""Items of a list that has no bound of its own."""

_MAX_JSON = 4 << 20
_MAX_DIGITS = 400  # of a number: before Python 3.11 the time to read it grows with the square
_REQUIRED: Any = object()
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "true or false": lambda v: isinstance(v, bool),
    "object": lambda v: isinstance(v, dict),
    "list": lambda v: isinstance(v, list),
}


def fail(source: str, where: str, problem: str) -> NoReturn:
    """Raise DescriptorError as ``source: where: problem``."""
    raise DescriptorError(": ".join(part for part in (source, _cut(where), _cut(problem)) if part))


def _cut(text: str) -> str:
    """`text` without its middle where no message has room for it: the end says what is expected."""
    return text if len(text) <= 900 else f"{text[:300]} ... ({len(text)} characters) ... {text[-300:]}"


def show(value: Any) -> str:
    """`value` as JSON, cut to one short line."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def item_path(where: str, key: object) -> str:
    """Path of a field (``a.b``) or of a list item (``a[2]``)."""
    if isinstance(key, int):
        return f"{where}[{key}]"
    return f"{where}.{key}" if where else str(key)


def plain_name(value: str) -> bool:
    """True for a name of a network, overlay or file: letters, digits and ``. _ -``, no separators."""
    return _NAME.match(value) is not None


def unprintable(text: str) -> bool:
    """True where `text` has control characters, or halves of characters that no file can hold."""
    return _UNPRINTABLE.search(text) is not None


class Fields:
    """One JSON object while it is read: take every field once, then `done()` refuses the rest.

    Parameters
    ----------
    value
        What the JSON has at this place; anything but an object is refused.
    source
        The file, for messages.
    where
        Path of this object inside the file (``layers[2]``), empty for the whole.
    """

    def __init__(self, value: Any, source: str, where: str = "") -> None:
        self.source, self.where = source, where
        if not isinstance(value, dict):
            fail(source, where, f"{show(value)} is no object: expected {{...}}")
        self._rest: dict[str, Any] = dict(value)
        self._known: list[str] = []

    def fail(self, key: str, problem: str) -> NoReturn:
        fail(self.source, item_path(self.where, key), problem)

    def take(self, key: str, kind: str, default: Any = _REQUIRED, allowed: Sequence[Any] = ()) -> Any:
        """The field `key`, of `kind` and one of `allowed`; `default` where it is absent or null."""
        self._known.append(key)
        value = self._rest.pop(key, None)
        if value is None:
            if default is _REQUIRED:
                self.fail(key, f"missing: expected {_expected(kind, allowed)}")
            return default
        if not _TYPES[kind](value):
            self.fail(key, f"{show(value)} is no {kind}: expected {_expected(kind, allowed)}")
        if allowed and value not in allowed:
            self.fail(key, f"{show(value)} is not allowed: expected {_expected(kind, allowed)}")
        return value

    def integer(self, key: str, low: int, high: int, default: Any = _REQUIRED) -> Any:
        """An integer in [low, high]."""
        value = self.take(key, "integer", default)
        if value is not None and not low <= value <= high:
            self.fail(key, f"{show(value)} is out of range: expected {low} to {high}")
        return value

    def number(self, key: str, default: Any = _REQUIRED, high: float = sys.float_info.max) -> Any:
        """A number greater than zero that a float can hold, at most `high`."""
        value = self.take(key, "number", default)
        if value is not None and not 0 < value <= high:
            most = "that a float can hold" if high == sys.float_info.max else f"and at most {high:g}"
            self.fail(key, f"{show(value)} is out of range: expected a number above 0 {most}")
        return value

    def text(self, key: str, default: Any = _REQUIRED) -> Any:
        """A string that is not empty (unless the default is)."""
        value = self.take(key, "string", default)
        if value == "" and default is _REQUIRED:
            self.fail(key, '"" is empty: expected some text')
        return value

    def name(self, key: str, default: Any = _REQUIRED) -> Any:
        """A plain name, without path separators."""
        value = self.take(key, "string", default)
        if value is not None and not plain_name(value):
            self.fail(
                key,
                f"{show(value)} is no plain name: expected letters, digits, '.', '_' and '-', no folder",
            )
        return value

    def items(self, key: str, most: int, default: Any = _REQUIRED) -> Any:
        """A list of at most `most` items."""
        values = self.take(key, "list", default)
        if values is not None and len(values) > most:
            self.fail(key, f"{len(values)} items are too many: expected at most {most}")
        return values

    def strings(self, key: str, default: Any = _REQUIRED, most: int = MOST_ITEMS) -> tuple[str, ...]:
        """A list of at most `most` different, non-empty strings."""
        values = self.items(key, most, default)
        before = set()
        for index, value in enumerate(values):
            if not isinstance(value, str) or not value:
                self.fail(item_path(key, index), f"{show(value)} is no text: expected a string")
            if value in before:
                self.fail(
                    item_path(key, index),
                    f"{show(value)} is there twice: expected different names",
                )
            before.add(value)
        return tuple(values)

    def pair(self, key: str, high: int) -> tuple[int, int]:
        """Two integers [height, width], each in 1..high."""
        values = self.take(key, "list")
        right = len(values) == 2 and all(_TYPES["integer"](v) and 1 <= v <= high for v in values)
        if not right:
            problem = "{} is not allowed: expected [height, width], each 1 to {}"
            self.fail(key, problem.format(show(values), high))
        return (values[0], values[1])

    def objects(self, key: str, most: int = MOST_ITEMS) -> list[Fields]:
        """A list of one to `most` objects."""
        values = self.items(key, most)
        if not values:
            self.fail(key, "[] is empty: expected at least one object")
        where = item_path(self.where, key)
        return [Fields(value, self.source, item_path(where, i)) for i, value in enumerate(values)]

    def inner(self, key: str) -> Fields:
        """The object under `key`."""
        return self.inner_of(key, self.take(key, "object"))

    def inner_of(self, key: str, value: Any) -> Fields:
        """`value`, which was taken from `key`, as fields."""
        return Fields(value, self.source, item_path(self.where, key))

    def has(self, key: str) -> bool:
        """True where `key` is there and not null."""
        return self._rest.get(key) is not None

    def peek(self, key: str) -> Any:
        """The raw value of `key`, None where it is absent; it is not taken."""
        return self._rest.get(key)

    @property
    def empty(self) -> bool:
        """True where no field is left to take."""
        return not self._rest

    def done(self) -> None:
        """Refuse fields that nobody has taken."""
        for key in self._rest:
            self.fail(key, "unknown field: expected one of {}".format(", ".join(sorted(self._known))))


def _expected(kind: str, allowed: Sequence[Any]) -> str:
    if not allowed:
        articles = {"integer": "an integer", "object": "an object", "true or false": kind}
        return articles.get(kind, "a " + kind)
    return " or ".join(show(value) for value in allowed)


def check_format(fields: Fields, name: str, version: int) -> None:
    """Take the fields `format` and `version`, which say what the file is."""
    fields.take("format", "string", allowed=(name,))
    found = fields.take("version", "integer")
    if found > version:
        problem = "{} is too new: this release reads up to {}; upgrade qnn-pynq"
        fields.fail("version", problem.format(show(found), version))
    if found < 1:
        fields.fail("version", f"{show(found)} is not allowed: expected 1 to {version}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for twice, _ in pairs:
            if twice in seen:
                break
            seen.add(twice)
        raise ValueError(f"the field {show(twice)} is there twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def _whole(text: str) -> int:
    if len(text) > _MAX_DIGITS + 1:
        raise ValueError(f"a number of {len(text)} digits: expected at most {_MAX_DIGITS}")
    return int(text)


def read_json(path: Path) -> Any:
    """What the JSON file `path` holds.

    Raises
    ------
    DescriptorError
        No regular file, over 4 MiB, not UTF-8, not JSON (with the line), a field twice, NaN or infinity.
    """
    try:
        if not path.is_file():
            fail(str(path), "", "no such file" if not path.exists() else "no regular file")
        text = read_bytes(path, _MAX_JSON).decode("utf-8-sig")
        return json.loads(
            text, object_pairs_hook=_object, parse_int=_whole, parse_float=_finite, parse_constant=_finite
        )
    except TooMuch as error:
        fail(str(path), "", str(error))
    except json.JSONDecodeError as error:
        problem = "no JSON: {} at line {}, column {}"
        fail(str(path), "", problem.format(error.msg.lower(), error.lineno, error.colno))
    except UnicodeDecodeError as error:
        fail(str(path), "", f"not UTF-8: byte {error.start} cannot be read as text")
    except RecursionError:
        fail(str(path), "", "no JSON for us: nested too deeply")
    except DescriptorError:
        raise
    except (OSError, ValueError) as error:
        fail(str(path), "", str(error))


def write_json(value: Any, indent: str = "") -> str:
    """`value` as JSON for people: whatever fits stays on one line."""
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not isinstance(value, (dict, list)) or len(flat) + len(indent) <= 100:
        return flat
    inner = indent + "  "
    if isinstance(value, dict):
        items = [
            json.dumps(key, ensure_ascii=False) + ": " + write_json(item, inner)
            for key, item in value.items()
        ]
    else:
        items = [write_json(item, inner) for item in value]
    body = ",\n".join(inner + item for item in items)
    return f"{flat[0]}\n{body}\n{indent + flat[-1]}"
