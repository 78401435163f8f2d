"""The .bit file: header, and the packets of the configuration stream (UG470)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .errors import ReadbackError

__all__ = ["COMMANDS", "REGISTERS", "Bitstream", "Write", "parse", "sequence"]

MAGIC = bytes([0x0F, 0xF0, 0x0F, 0xF0, 0x0F, 0xF0, 0x0F, 0xF0, 0x00])
SYNC = bytes([0xAA, 0x99, 0x55, 0x66])
FIELDS = {"a": "design", "b": "part", "c": "date", "d": "time"}
REGISTERS = ("CRC", "FAR", "FDRI", "FDRO", "CMD", "CTL0", "MASK", "STAT", "LOUT", "COR0", "MFWR", "CBC", "IDCODE",
             "AXSS", "COR1", "", "WBSTAR", "TIMER", "", "", "", "", "BOOTSTS", "", "CTL1")
COMMANDS = ("NULL", "WCFG", "MFW", "DGHIGH/LFRM", "RCFG", "START", "RCAP", "RCRC", "AGHIGH", "SWITCH", "GRESTORE",
            "SHUTDOWN", "GCAPTURE", "DESYNC", "", "IPROG")


class Write(NamedTuple):
    """Words that go to a register."""

    register: str
    words: np.ndarray  # uint32


class Bitstream(NamedTuple):
    """A file: its header, and its writes from the sync word on."""

    header: dict[str, str]
    writes: list[Write]

    @property
    def idcode(self) -> int:
        """The part that the stream is for, revision bits included."""
        found = {int(write.words[0]) for write in self.writes if write.register == "IDCODE"}
        if len(found) != 1:
            raise ReadbackError(f"the stream names {len(found)} parts by IDCODE, not one: it is broken")
        return found.pop()


def parse(data: bytes) -> Bitstream:
    """The header and the writes of a .bit file, or an error that says where it breaks off."""
    header, stream = _split(data)
    start = stream.find(SYNC)
    if start < 0:
        raise ReadbackError("no sync word AA995566: this is no configuration stream")
    if start % 4:
        raise ReadbackError(f"the sync word is at byte {start} of the stream, which is no multiple of 4")
    words = np.frombuffer(stream, ">u4", offset=start + 4, count=(len(stream) - start) // 4 - 1).astype(np.uint32)
    return Bitstream(header, _writes(words))


def _split(data: bytes) -> tuple[dict[str, str], bytes]:
    """Fields of the header, and what follows it."""
    if data[2:2 + len(MAGIC)] != MAGIC or data[:2] != b"\0\x09":
        raise ReadbackError(f"no .bit header: the file begins with {data[:8].hex() or 'nothing'}, not 00090ff00ff0")
    at = 2 + len(MAGIC) + 2
    header = {}
    for key, name in FIELDS.items():
        if data[at:at + 1] != key.encode():
            raise ReadbackError(f"the header has no field {key} ({name}) at byte {at}")
        length = int.from_bytes(data[at + 1:at + 3], "big")
        text = data[at + 3:at + 3 + length]
        if len(text) != length or not text.endswith(b"\0"):
            raise ReadbackError(f"field {key} ({name}) of the header breaks off")
        header[name] = text[:-1].decode("ascii", "replace")
        at += 3 + length
    if data[at:at + 1] != b"e" or len(data) < at + 5:
        raise ReadbackError(f"the header has no field e (length) at byte {at}")
    length = int.from_bytes(data[at + 1:at + 5], "big")
    stream = data[at + 5:]
    if len(stream) != length:
        raise ReadbackError(f"the header promises {length} bytes, the file has {len(stream)}: was it cut off?")
    return header, stream


def _writes(words: np.ndarray) -> list[Write]:
    """Every write to a register until DESYNC."""
    found: list[Write] = []
    at, register = 0, ""
    while at < len(words):
        word = int(words[at])
        kind, operation = word >> 29, word >> 27 & 3
        if kind == 1:
            number, count = word >> 13 & 0x1F, word & 0x7FF
            # vendor tools write to one or two that the user guide does not name
            register = (REGISTERS[number] if number < len(REGISTERS) else "") or f"R{number}"
        elif kind == 2:
            count = word & 0x7FFFFFF
        else:
            raise ReadbackError(f"word {at} after the sync word is no packet: {word:08x}")
        at += 1
        if operation == 2:
            if at + count > len(words):
                raise ReadbackError(f"a write of {count} words to {register} breaks off: {len(words) - at} are left")
            # a type 1 packet without words names the register of the type 2 packet behind it
            if count or kind == 2:
                found.append(Write(register, words[at:at + count]))
            at += count
            if register == "CMD" and count and int(found[-1].words[-1]) == COMMANDS.index("DESYNC"):
                return found
        elif operation == 1:
            raise ReadbackError(f"word {at - 1} after the sync word reads {register}: this stream does not configure")
    raise ReadbackError("the stream ends without the command DESYNC")


def sequence(bitstream: Bitstream) -> list[str]:
    """One line for each write, to be compared between files: the value, or the count of words."""
    lines = []
    for write in bitstream.writes:
        if len(write.words) != 1:
            lines.append(f"{write.register} {len(write.words)} words")
        elif write.register == "CMD":
            value = int(write.words[0])
            lines.append(f"CMD {COMMANDS[value] if value < len(COMMANDS) else value}")
        else:
            lines.append(f"{write.register} {int(write.words[0]):08x}")
    return lines
