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
import re
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Iterator, NamedTuple, Sequence, Union

from ..errors import RecordingError
from ..files.bounded import mebibytes
from ..files.paths import path_text
from ..files.replacing import replacing

__all__ = ["CALLS", "BoardCall", "Recording", "check_place", "load_recording", "save_recording"]

PathLike = Union[str, "os.PathLike[str]"]

_MAGIC = "qnn-pynq-recording"
VERSION = 1
_FIRST = len("{} {} {}\n".format(_MAGIC, VERSION, 64 * "0"))
_MOST_FILE = 128 << 20
_MOST_TEXT = 256 << 20  # unpacked
_MOST_LINE = 64 << 20  # 48 MiB: 256 pictures of 224 x 224 pixels have 37 MiB
_MOST_HEADER = 1 << 20
_MOST_EVENT = 1 << 16
_MOST_LINES = 250000
_HELD_UNCHECKED = 32 << 20  # bytes that are kept while nobody knows whether the rest is well
_PIECE = 1 << 20
_BYTES = re.compile(rb'\s*\[\s*"bytes"\s*,\s*"([A-Za-z0-9+/]*={0,2})"\s*\]\s*\Z')
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
        raise RecordingError(f"{target} cannot be written: expected a file in a folder that you may write to")
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
    first = f"{_MAGIC} {VERSION} {hashlib.sha256(packed).hexdigest()}\n".encode("ascii")
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
            raise RecordingError(f"{name}: no such file")
        if os.path.getsize(name) > _MOST_FILE:
            raise RecordingError(f"{name}: more than {mebibytes(_MOST_FILE)}, no recording is as large")
        with open(name, "rb") as stream:
            found = _read(stream)
    except (OSError, ValueError) as error:
        if isinstance(error, RecordingError):
            raise
        raise RecordingError(f"{name} cannot be read: {error}") from error
    except _Damaged as error:
        raise RecordingError(f"{name}: {error}; ask for the file again") from None
    return found


class _Damaged(Exception):
    """What is wrong with a file, as the end of a sentence."""


def _read(stream: BinaryIO) -> Recording:
    words = stream.read(_FIRST).decode("ascii", "replace").split(" ")
    if words[0] != _MAGIC or len(words) != 3:
        raise _Damaged(f"is no recording: it does not begin with '{_MAGIC}'")
    if words[1] != str(VERSION):
        raise _Damaged(f"has version {words[1]:.20}, this library reads {VERSION}: install a newer one")
    sum_of_rest = hashlib.sha256()
    for piece in iter(lambda: stream.read(_PIECE), b""):
        sum_of_rest.update(piece)
    if words[2] != sum_of_rest.hexdigest() + "\n":
        raise _Damaged("is damaged: its sha256 is not the one in its first line")
    stream.seek(_FIRST)
    found = _parse(_lines_of(stream), _HELD_UNCHECKED)
    if found is None:  # all of it is well: now it may be held
        stream.seek(_FIRST)
        found = _parse(_lines_of(stream), _MOST_TEXT)
        assert found is not None
    return found


def _lines_of(stream: BinaryIO) -> Iterator[bytearray]:
    """The lines of the packed text, unpacked piece by piece."""
    unpacker, total, at = zlib.decompressobj(_GZIP), 0, 0
    line = bytearray()
    packed = b""
    while not unpacker.eof:
        packed = packed or stream.read(_PIECE)
        try:
            piece = unpacker.decompress(packed, _PIECE)
        except zlib.error as error:
            raise _Damaged(f"is damaged: {error}") from None
        if not packed and not piece:
            raise _Damaged("is damaged: it ends too early")
        packed = unpacker.unconsumed_tail
        total += len(piece)
        line += piece
        if total > _MOST_TEXT or len(line) - len(piece) > _MOST_LINE:
            what, most = ("text", _MOST_TEXT) if total > _MOST_TEXT else ("a line", _MOST_LINE)
            raise _Damaged(f"unpacks to too much: {what} of over {mebibytes(most)}")
        while True:
            end = line.find(b"\n", at)
            if end < 0:
                at = len(line)
                break
            yield line[:end]
            del line[: end + 1]
            at = 0
    if unpacker.unused_data or packed or stream.read(1):
        raise _Damaged("is damaged: it has more behind its end")
    if line:
        yield line


def _parse(lines: Iterator[bytearray], most: int) -> Recording | None:
    """A recording; None where one that is well takes more than `most` bytes."""
    header: Any = None
    blobs: list[bytes] = []
    events: list[BoardCall] = []
    kept, whole, pictures = 0, True, None
    for number, line in enumerate(lines):
        where = f"line {number + 1}"
        if number == _MOST_LINES:
            raise _Damaged(f"{where} is too many: expected at most {_MOST_LINES} lines")
        blob = _blob(line, where) if number else None
        if blob is not None:
            pictures = blob if pictures is None else pictures
        kept += len(line if blob is None else blob)
        if whole and kept > most:
            whole, blobs, events = False, [b""] * len(blobs), []
        if blob is not None:
            blobs.append(blob if whole else b"")
            continue
        if len(line) > (_MOST_EVENT if number else _MOST_HEADER):
            raise _Damaged(f"{where}: {len(line)} bytes are too many")
        try:
            value = json.loads(line.decode("ascii"))
        except (ValueError, RecursionError) as error:
            raise _Damaged(f"{where}: {error}") from None
        if number == 0:
            header = value
            continue
        event = _event(value, blobs, where)
        if whole:
            events.append(event)
    if not isinstance(header, dict) or header.get("format") != _MAGIC:
        raise _Damaged("has no header")
    if pictures is None:
        raise _Damaged("has no pictures")
    return Recording(header, pictures, tuple(events)) if whole else None


def _blob(line: bytearray, where: str) -> bytes | None:
    """The bytes that a line has; None for a line of another kind."""
    match = _BYTES.match(line)
    if match is None:
        return None
    with memoryview(line) as view, view[match.start(1) : match.end(1)] as text:
        try:
            return binascii.a2b_base64(text)
        except binascii.Error as error:
            raise _Damaged(f"{where}: {error}") from None


def _event(value: Any, blobs: Sequence[bytes], where: str) -> BoardCall:
    if not (isinstance(value, list) and len(value) == 5 and isinstance(value[0], str) and value[0] in CALLS):
        raise _Damaged(f"{where}: no event of a known kind")
    kind, clock, accelerator, given, answer = value
    types, gives = CALLS[kind]
    timed = _is(clock, "n", blobs) and _is(accelerator, "n", blobs)
    if not (timed and isinstance(given, list) and len(given) == len(types)):
        raise _Damaged(f"{where}: {kind}: expected two times and {len(types)} arguments")
    if not all(_is(part, letter, blobs) for part, letter in zip(given, types)):
        raise _Damaged(f"{where}: {kind}: arguments of other types than {types!r}")
    failed = isinstance(answer, dict)
    if failed:
        error = answer.get("error")
        right = set(answer) == {"error"} and isinstance(error, list) and [type(part) for part in error] == [str, str]
    else:
        right = _is(answer, gives, blobs)
    if not right:
        raise _Damaged(f"{where}: {kind}: an answer of another type than {gives!r}")
    arguments = tuple(blobs[part] if letter == "b" else part for part, letter in zip(given, types))
    return BoardCall(kind, clock, accelerator, arguments, blobs[answer] if gives == "b" and not failed else answer)


def _is(value: Any, letter: str, blobs: Sequence[bytes]) -> bool:
    if letter == "s":
        return isinstance(value, str)
    if letter == "-":
        return value is None
    most = len(blobs) if letter == "b" else 1 << 64
    return type(value) is int and 0 <= value < most
