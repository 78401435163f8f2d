"""What a reader may hold of files that nobody vouches for: bounded before anything is held, and said in the message."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

__all__ = ["MOST_HELD", "MOST_TEXT", "XML_ERRORS", "Gunzip", "Room", "TooMuch", "mebibytes", "read_all", "read_bytes",
           "read_into", "read_xml"]

MOST_HELD = 180 << 20
"""Bytes that a reader holds of one data set: CIFAR-10 has 176 MiB of pictures, Imagenette's training 164 MiB."""

MOST_TEXT = 1 << 20
"""Bytes of a list of names, a line each, and of notes that other programs leave."""

# What parsing of XML raises on damaged files; the last two for encodings.
XML_ERRORS = (OSError, ElementTree.ParseError, LookupError, ValueError)

_PIECE = 1 << 20
_PACKED = 1 << 16  # bytes that are unpacked at once
_GZIP = 16 + zlib.MAX_WBITS
_MOST_MEMBERS = 16
_MOST_XML = 4 << 20  # the tree takes up to 40 times as much; the published .hwh files have 0.3 MB


class TooMuch(ValueError):
    """More than a reader holds; the text is a whole clause."""


def mebibytes(count: int) -> str:
    """`count` bytes for messages."""
    return f"{count >> 20} MiB" if count >= _PIECE and not count % _PIECE else f"{count} bytes"


class Room:
    """Bytes that one reader may still hold.

    Parameters
    ----------
    most : int
        Of all that is taken.
    what : str
        What they are, for messages.
    """

    def __init__(self, most: int = MOST_HELD, what: str = "what is read of it") -> None:
        self.most, self.left = most, most
        self._what = what

    def take(self, count: int, name: str) -> None:
        """Hold `count` bytes more for `name`; TooMuch where there is no room."""
        if count > self.left:
            raise TooMuch(f"{name} takes {count} bytes: expected at most {mebibytes(self.most)} for {self._what}")
        self.left -= count


def read_bytes(path: str | os.PathLike[str], most: int) -> bytes:
    """The contents of a regular file.

    Raises
    ------
    TooMuch
        It has more than `most` bytes.
    OSError
        It cannot be read, or is no regular file.
    """
    file = Path(path)
    size = file.stat().st_size
    if not file.is_file():  # a pipe would be waited for
        raise OSError("no regular file")
    if size > most:
        raise TooMuch(f"{size} bytes are too many: expected at most {mebibytes(most)}")
    with file.open("rb") as stream:
        return read_all(stream, most)


def read_all(stream: Any, most: int) -> bytes:
    """What is left of a stream; TooMuch where that is more than `most` bytes."""
    found: bytes = stream.read(most + 1)
    if len(found) > most:
        raise TooMuch(f"more than {most} bytes are too many: expected at most {mebibytes(most)}")
    return found


def read_into(stream: Any, target: memoryview) -> int:
    """Fill `target` piece by piece; the number of bytes that came."""
    at = 0
    while at < len(target):
        piece = stream.read(min(_PIECE, len(target) - at))
        if not piece:
            break
        target[at : at + len(piece)] = piece
        at += len(piece)
    return at


class Gunzip:
    """What a gzip stream holds, never more at once than is asked for.

    The gzip module goes through names and empty members byte by byte, minutes for a file that has only these.
    """

    def __init__(self, stream: Any) -> None:
        self._stream, self._packed = stream, b""
        self._members, self._unpacker = 1, zlib.decompressobj(_GZIP)

    def read(self, count: int) -> bytes:
        """One to `count` bytes; none at the end.

        Raises
        ------
        zlib.error, EOFError
            It is damaged, or cut off.
        """
        while True:
            found = self._unpacker.decompress(self._packed, count)
            self._packed = self._unpacker.unconsumed_tail
            if found:
                return found
            if self._unpacker.eof:
                if not self._next():
                    return b""
            elif not self._packed:
                self._packed = self._stream.read(_PACKED)
                if not self._packed:
                    raise EOFError("the compressed data are cut off")

    def _next(self) -> bool:
        """Go on to another member, where there is one."""
        rest = (self._unpacker.unused_data or self._stream.read(_PACKED)).lstrip(b"\0")
        if not rest:
            return False
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise zlib.error(f"more than {_MOST_MEMBERS} gzip members")
        self._packed, self._unpacker = rest, zlib.decompressobj(_GZIP)
        return True


def read_xml(path: str | os.PathLike[str]) -> ElementTree.Element:
    """The root of an XML file of up to 4 MiB without entities of its own; one of `XML_ERRORS` where it is none."""
    data = read_bytes(path, _MOST_XML)
    # Expat before 2.4.1 lets entities multiply; UTF-16 would hide them.
    if b"<!ENTITY" in data or b"\0" in data:
        raise ValueError("it has entities of its own, or is no UTF-8: expected plain XML")
    return ElementTree.fromstring(data)
