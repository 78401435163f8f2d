"""Which part is on a board, and by which IDCODE its logic knows it.

IDCODEs without their revision (the top four bits), as in the parts' BSDL files and in openFPGALoader's src/part.hpp;
parts of boards as in their Vivado board files (xilinx.com, tul.com.tw, avnet.com, realdigital.org). What is in neither
table is not known here, and nothing is refused for it.
"""
from __future__ import annotations

import re

__all__ = ["IDCODE_MASK", "board_part", "idcode_of", "names_part", "part_of"]

IDCODE_MASK = 0x0FFF_FFFF
"""What of an IDCODE is not the revision."""

# A board's part as far as a bitstream must have it: with the package where the pins' places are the boards' own.
_BOARDS = {
    "pynqz1": "xc7z020clg400", "pynqz2": "xc7z020clg400",
    "zcu104": "xczu7ev", "zcu111": "xczu28dr", "ultra96": "xczu3eg", "ultra96v1": "xczu3eg", "ultra96v2": "xczu3eg",
    "kv260": "xck26", "kr260": "xck26", "rfsoc2x2": "xczu28dr", "rfsoc4x2": "xczu48dr",
}
_IDCODES = {
    "7z007s": 0x3723093, "7z010": 0x3722093, "7z020": 0x3727093, "7z030": 0x372C093, "7z045": 0x3731093,
    "7z100": 0x3736093,
    "zu2": 0x4711093, "zu3": 0x4710093, "zu4": 0x4721093, "zu5": 0x4720093, "zu6": 0x4739093, "zu7": 0x4730093,
    "zu9": 0x4738093, "zu11": 0x4740093, "zu15": 0x4750093, "zu17": 0x4759093, "zu19": 0x4758093,
    "zu21dr": 0x47E1093, "zu25dr": 0x47E5093, "zu27dr": 0x47E4093, "zu28dr": 0x47E0093, "zu29dr": 0x47E2093,
    "zu39dr": 0x47E6093, "zu43dr": 0x47FD093, "zu46dr": 0x47F8093, "zu47dr": 0x47FF093, "zu48dr": 0x47FB093,
    "zu49dr": 0x47FE093,
}
_CHIP = re.compile(r"7z\d{3}s?|zu\d+dr|zu\d+")


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _plain_part(part: str) -> str:
    """Without the grade in front (xc, xa, xq) and punctuation, which tools write or leave out."""
    return re.sub(r"\Ax[acq]", "", _plain(part))


def board_part(board: str) -> str:
    """The part of a board, "" of one that is not known."""
    return _BOARDS.get(_plain(board), "")


def names_part(said: str, part: str) -> bool:
    """Whether `said`, as tools write parts, is `part` or one of its packages and speed grades."""
    return _plain_part(said).startswith(_plain_part(part))


def idcode_of(part: str) -> int | None:
    """The IDCODE of a part without its revision, None where it is not known."""
    found = _CHIP.match(_plain_part(part))
    return _IDCODES.get(found.group()) if found else None


def part_of(idcode: int) -> str:
    """The part of an IDCODE, "" of one that is not known."""
    wanted = idcode & IDCODE_MASK
    return next((f"xc{name}" for name, code in _IDCODES.items() if code == wanted), "")
