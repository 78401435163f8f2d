"""The file of a recording: what a driver asked of a board, and what the board answered.

One line of text with the sha256 of all that follows, then gzip of JSON lines: the header, and events
`[kind, clock, accelerator, arguments, answer]`. Bytes stand on lines of their own, `["bytes", base64]`, before the
first event that uses them; an event has their number.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Sequence, Union

from ..errors import RecordingError
from ..files.paths import path_text
from ..files.replacing import replacing

__all__ = ["CALLS", "BoardCall", "Recording", "check_place", "load_recording", "save_recording"]

PathLike = Union[str, "os.PathLike[str]"]

_MAGIC = "qnn-pynq-recording"
VERSION = 1
_FIRST = len("{} {} {}\n".format(_MAGIC, VERSION, 64 * "0"))
_MOST_FILE = 128 << 20
_MOST_TEXT = 512 << 20
_GZIP = 16 + zlib.MAX_WBITS

# By kind: what the arguments are, and what the answer is. n a number, s a text, b bytes, - nothing.
CALLS = {
    "load": ("ss", "n"),  # overlay, sha256 of its bitstream -> generation of the logic
    "reset": ("", "n"),
    "lost": ("", "n"),  # somebody else configured the logic
    "allocate": ("n", "n"),  # bytes -> address
    "free": ("n", "-"),  # buffer, by the order of allocation
    "flush": ("nnb", "-"),  # buffer, bytes, content
    "invalidate": ("nn", "b"),
    "read": ("sn", "n"),  # ip, offset -> value
    "write": ("snn", "-"),
    "play": ("sb", "-"),  # ip, program
    "wait": ("snn", "n"),  # ip, offset, mask -> value; mask 0: a condition of the driver's own
}


class BoardCall(NamedTuple):
    """One call of a board.

    Attributes
    ----------
    kind : str
        A key of `CALLS`.
    clock, accelerator : int
        Nanoseconds from the start of the recording until it was over: by the board's clock, and by the one for the
        accelerator, which differs from it on an emulated board.
    arguments : tuple of int, str, bytes
    answer : int, bytes, None, or {"error": [name of the class, text]}
    """

    kind: str
    clock: int
    accelerator: int
    arguments: tuple[Any, ...]
    answer: Any


class Recording(NamedTuple):
    """A header of plain JSON types, the pictures that were classified, and the events in order."""

    header: dict[str, Any]
    pictures: bytes
    events: Sequence[BoardCall]


def check_place(path: PathLike) -> str:
    """A path as text, or RecordingError where no recording can be written; a device that is there would be replaced."""
    target = path_text(path, "the file of a recording {}: expected a path", RecordingError)
    folder = os.path.dirname(os.path.abspath(target))
    fine = target and "\0" not in target and os.path.isdir(folder) and os.access(folder, os.W_OK)
    if not fine or (os.path.lexists(target) and not os.path.isfile(target)):
        raise RecordingError("{} cannot be written: expected a file in a folder that you may write to".format(target))
    return target


def save_recording(recording: Recording, path: PathLike) -> int:
    """Write a recording, whole or not at all; returns the size in bytes.

    Raises
    ------
    RecordingError
        There cannot be such a file.
    OSError
        The file cannot be written.
    """
    target = check_place(path)
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    packed = b"".join(packer.compress(line) for line in _lines(recording)) + packer.flush()
    first = "{} {} {}\n".format(_MAGIC, VERSION, hashlib.sha256(packed).hexdigest()).encode("ascii")
    with replacing(Path(target)) as stream:
        stream.write(first + packed)
    return len(first) + len(packed)


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def _lines(recording: Recording) -> Iterator[bytes]:
    numbers: dict[bytes, int] = {}
    yield _line(recording.header)
    yield _line(["bytes", base64.b64encode(recording.pictures).decode("ascii")])
    numbers[recording.pictures] = 0
    for event in recording.events:
        parts = []
        for part in (*event.arguments, event.answer):
            if isinstance(part, bytes):
                if part not in numbers:
                    numbers[part] = len(numbers)
                    yield _line(["bytes", base64.b64encode(part).decode("ascii")])
                part = numbers[part]
            parts.append(part)
        yield _line([event.kind, event.clock, event.accelerator, parts[:-1], parts[-1]])


def load_recording(path: PathLike) -> Recording:
    """Read a recording.

    Raises
    ------
    RecordingError
        Not a recording, of a newer version, or damaged in any way.
    """
    name = path_text(path, "the file of a recording {}: expected a path", RecordingError)
    try:
        if not Path(name).is_file():
            raise RecordingError("{}: no such file".format(name))
        if os.path.getsize(name) > _MOST_FILE:
            raise RecordingError("{}: more than {} MiB, no recording is as large".format(name, _MOST_FILE >> 20))
        raw = Path(name).read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, RecordingError):
            raise
        raise RecordingError("{} cannot be read: {}".format(name, error)) from error
    try:
        return _parse(_unpack(raw))
    except _Damaged as error:
        raise RecordingError("{}: {}; ask for the file again".format(name, error)) from None


class _Damaged(Exception):
    """What is wrong with a file, as the end of a sentence."""


def _unpack(raw: bytes) -> bytes:
    words = raw[:_FIRST].decode("ascii", "replace").split(" ")
    if words[0] != _MAGIC or len(words) != 3:
        raise _Damaged("is no recording: it does not begin with '{}'".format(_MAGIC))
    if words[1] != str(VERSION):
        raise _Damaged("has version {:.20}, this library reads {}: install a newer one".format(words[1], VERSION))
    if words[2] != hashlib.sha256(raw[_FIRST:]).hexdigest() + "\n":
        raise _Damaged("is damaged: its sha256 is not the one in its first line")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        text = unpacker.decompress(raw[_FIRST:], _MOST_TEXT)
    except zlib.error as error:
        raise _Damaged("is damaged: {}".format(error)) from None
    if not unpacker.eof or unpacker.unused_data:
        raise _Damaged("is damaged: it ends too early, has more behind its end, or unpacks to too much")
    return text


def _parse(text: bytes) -> Recording:
    header: Any = None
    blobs: list[bytes] = []
    events = []
    for number, line in enumerate(text.splitlines()):
        where = "line {}".format(number + 1)
        try:
            value = json.loads(line.decode("ascii"))
        except (ValueError, RecursionError) as error:
            raise _Damaged("{}: {}".format(where, error)) from None
        if number == 0:
            header = value
        elif isinstance(value, list) and len(value) == 2 and value[0] == "bytes":
            try:
                blobs.append(base64.b64decode(value[1], validate=True))
            except (binascii.Error, TypeError, ValueError) as error:
                raise _Damaged("{}: {}".format(where, error)) from None
        else:
            events.append(_event(value, blobs, where))
    if not isinstance(header, dict) or header.get("format") != _MAGIC:
        raise _Damaged("has no header")
    if not blobs:
        raise _Damaged("has no pictures")
    return Recording(header, blobs[0], tuple(events))


def _event(value: Any, blobs: Sequence[bytes], where: str) -> BoardCall:
    if not (isinstance(value, list) and len(value) == 5 and isinstance(value[0], str) and value[0] in CALLS):
        raise _Damaged("{}: no event of a known kind".format(where))
    kind, clock, accelerator, given, answer = value
    types, gives = CALLS[kind]
    timed = _is(clock, "n", blobs) and _is(accelerator, "n", blobs)
    if not (timed and isinstance(given, list) and len(given) == len(types)):
        raise _Damaged("{}: {}: expected two times and {} arguments".format(where, kind, len(types)))
    if not all(_is(part, letter, blobs) for part, letter in zip(given, types)):
        raise _Damaged("{}: {}: arguments of other types than {!r}".format(where, kind, types))
    failed = isinstance(answer, dict)
    if failed:
        error = answer.get("error")
        right = set(answer) == {"error"} and isinstance(error, list) and [type(part) for part in error] == [str, str]
    else:
        right = _is(answer, gives, blobs)
    if not right:
        raise _Damaged("{}: {}: an answer of another type than {!r}".format(where, kind, gives))
    arguments = tuple(blobs[part] if letter == "b" else part for part, letter in zip(given, types))
    return BoardCall(kind, clock, accelerator, arguments, blobs[answer] if gives == "b" and not failed else answer)


def _is(value: Any, letter: str, blobs: Sequence[bytes]) -> bool:
    if letter == "s":
        return isinstance(value, str)
    if letter == "-":
        return value is None
    most = len(blobs) if letter == "b" else 1 << 64
    return type(value) is int and 0 <= value < most
