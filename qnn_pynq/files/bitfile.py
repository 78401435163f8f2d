"""A .bit file opened: what its header says, and which chip its configuration stream is for (UG470, UG570).

The header is that of pynq's own reader: fields a (design and options), b (part), c (date), d (time), e (bytes to come).
"""
from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from ..errors import DescriptorError
from .bounded import mebibytes
from .foreign import BIT_HEADER, SYNC, foreign_kind
from .paths import shortened

__all__ = ["MOST_BITSTREAM", "Bitstream", "read_bitstream"]

MOST_BITSTREAM = 256 << 20
"""Bytes of a .bit; an xc7z020's has 4 MB."""

_FIELDS = {"a": "design", "b": "part", "c": "date", "d": "time"}
_MOST_FIELD = 1 << 12
_HEAD = 1 << 16  # bytes that are read: header, padding, and the packets until IDCODE
_FDRI, _MFWR, _CBC, _IDCODE = 2, 10, 11, 12  # registers of the configuration logic
_WRITE = 2
_AGAIN = "copy or download it again"


@dataclass(frozen=True)
class Bitstream:
    """What a .bit says of itself.

    Attributes
    ----------
    design : str
        The top module.
    part : str
        As the tool wrote it: ``7z020clg400``, ``xczu7ev-ffvc1156-2-e``.
    tool : str
        ``Vivado 2018.2``, or another program's name; "" where the header has none.
    date : str
        Of writing: ``2018/09/20 19:10:44``.
    partial : bool
        Whether it reconfigures a region of a design.
    idcode : int
        The chip that the stream is for.
    size : int
        Bytes behind the header.
    """

    design: str
    part: str
    tool: str
    date: str
    partial: bool
    idcode: int
    size: int


class _Wrong(ValueError):
    """No bitstream; the text goes on from the name of the file."""


def read_bitstream(path: str | os.PathLike[str]) -> Bitstream:
    """Open a .bit: its first 64 KiB are read, and its length is compared with the header's.

    Raises
    ------
    DescriptorError
        It is no .bit file, cut off or damaged: what it is, and what to do.
    """
    file = Path(path)
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):
            kind = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
            raise _Wrong(f"is {kind}: expected a .bit file")
        if found.st_size > MOST_BITSTREAM:
            raise _Wrong(f"has {found.st_size} bytes: expected at most {mebibytes(MOST_BITSTREAM)} of a bitstream")
        with file.open("rb") as stream:
            return _parse(stream.read(_HEAD), found.st_size)
    except _Wrong as error:
        raise DescriptorError(f"{shortened(str(file))} {error}") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise DescriptorError(f"{shortened(str(file))} cannot be read: {reason}") from error


def _parse(data: bytes, size: int) -> Bitstream:
    """From the first bytes of a file of `size` bytes."""
    fields, at, length = _header(data, size)
    left = size - at
    if left < length:
        raise _Wrong(f"was cut off: its header promises {length} bytes, {left} follow: {_AGAIN}")
    if left > length:
        raise _Wrong(f"has {left - length} bytes too many: its header promises {length}, {left} follow: {_AGAIN}")
    design, *options = fields["design"].split(";")
    said = dict(option.partition("=")[::2] for option in options)
    version = said.get("Version", "")
    return Bitstream(
        design=design,
        part=fields["part"],
        tool=f"Vivado {version}" if version else said.get("Generator", ""),
        date=f"{fields['date']} {fields['time']}".strip(),
        partial=said.get("PARTIAL", "").upper() == "TRUE",
        idcode=_idcode(data[at:]),
        size=length,
    )


def _header(data: bytes, size: int) -> tuple[dict[str, str], int, int]:
    """Fields by name, where the stream begins, and its length by field e."""
    if not data.startswith(BIT_HEADER):
        if data and BIT_HEADER.startswith(data):
            raise _Wrong(f"was cut off in its header, after {size} bytes: {_AGAIN}")
        kind = foreign_kind(data)
        if kind is None:
            raise _Wrong(f"is no .bit file: it begins with {data[:8].hex()}, expected {BIT_HEADER[:8].hex()}; take the "
                         ".bit that the build wrote (write_bitstream)")
        raise _Wrong(f"is {kind.what}, and no .bit file: {kind.advice}")
    at = len(BIT_HEADER)
    fields = {}
    for key, name in _FIELDS.items():
        length = _length(data, at, key, name, 2, size)
        at += 3
        if length > _MOST_FIELD:
            raise _Wrong(f"has a damaged header: {length} bytes of {name}, expected at most {_MOST_FIELD}: {_AGAIN}")
        text = data[at:at + length]
        if len(text) < length:
            raise _Wrong(f"was cut off in its header, in the {name}, after {size} bytes: {_AGAIN}")
        if not text.endswith(b"\0"):
            raise _Wrong(f"has a damaged header: its {name} does not end with a zero byte: {_AGAIN}")
        fields[name] = re.sub(r"[^ -~]", "?", text[:-1].decode("latin-1"))
        at += length
    return fields, at + 5, _length(data, at, "e", "length", 4, size)


def _length(data: bytes, at: int, key: str, name: str, count: int, size: int) -> int:
    """Of field `key`, from the `count` bytes behind its letter."""
    found = data[at:at + 1]
    if found and found != key.encode("ascii"):
        raise _Wrong(f"has a damaged header: byte {at} is {found.hex()}, expected {key.encode('ascii').hex()}, field "
                     f"{key} ({name}): {_AGAIN}")
    if len(data) < at + 1 + count:
        raise _Wrong(f"was cut off in its header, before the {name}, after {size} bytes: {_AGAIN}")
    return int.from_bytes(data[at + 1:at + 1 + count], "big")


def _idcode(stream: bytes) -> int:
    """What is written to IDCODE before any frame is."""
    at = stream.find(SYNC)
    if at < 0:
        if SYNC[::-1] in stream:
            raise _Wrong("has a .bit header and byte-swapped words behind it (a .bin of the kernel's FPGA manager): "
                         "take the .bit as the tool wrote it")
        raise _Wrong(f"has no sync word {SYNC.hex()} within {len(stream)} bytes behind its header: {_AGAIN}")
    if at % 4:
        raise _Wrong(f"is damaged: its sync word is {at} bytes behind the header, no multiple of 4: {_AGAIN}")
    words = [int.from_bytes(stream[start:start + 4], "big") for start in range(at + 4, len(stream) - 3, 4)]
    at = 0
    while at < len(words):
        word = words[at]
        kind, register = word >> 29, word >> 13 & 0x1F
        if kind != 1:
            # Of the second type are the frames alone.
            raise _Wrong(f"is damaged: word {at} behind its sync word is {word:08x}, not for a register: {_AGAIN}")
        count = word & 0x7FF if word >> 27 & 3 == _WRITE else 0
        if count and register == _IDCODE:
            if at + 1 >= len(words):
                break
            return words[at + 1]
        if count and register == _CBC:
            raise _Wrong("is encrypted, which the processor of a board does not load: build it without encryption")
        if count and register in (_FDRI, _MFWR):
            break
        at += 1 + count
    raise _Wrong(f"is damaged: its stream names no part (IDCODE) before the frames: {_AGAIN}")
