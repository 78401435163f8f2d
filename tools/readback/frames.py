"""Frames by address: what FDRI carries, for the rows and columns of a part (UG470, part.json)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .errors import ReadbackError
from .packets import Bitstream

__all__ = ["ECC_WORD", "WORDS", "Address", "Frames", "addresses", "collect"]

WORDS = 101
ECC_WORD, ECC_BITS = 50, 0x1FFF
PADS = 2  # frames of nothing behind the last column of a row
BUSES = ("CLB_IO_CLK", "BLOCK_RAM")


class Address(NamedTuple):
    """Where a frame lies."""

    bus: str
    bottom: bool
    row: int
    column: int
    minor: int

    def word(self) -> int:
        """As the register FAR has it."""
        return (BUSES.index(self.bus) << 23 | int(self.bottom) << 22 | self.row << 17 | self.column << 7 | self.minor)


class Frames(NamedTuple):
    """All frames of a part, without their error correction bits."""

    rows: dict[int, int]  # of `words`, by address as the register FAR has it
    words: np.ndarray      # frames x 101, uint32


def addresses(part: dict[str, Any]) -> list[list[Address]]:
    """Addresses in the order of the stream, row by row; each row ends with pad frames."""
    regions = part["global_clock_regions"]
    rows = []
    for bus in BUSES:
        for half in ("top", "bottom"):
            found = regions.get(half, {"rows": {}})["rows"]
            for row in sorted(found, key=int):
                columns = found[row]["configuration_buses"].get(bus, {"configuration_columns": {}})
                columns = columns["configuration_columns"]
                line = [Address(bus, half == "bottom", int(row), int(column), minor)
                        for column in sorted(columns, key=int) for minor in range(columns[column]["frame_count"])]
                if line:
                    rows.append(line)
    return rows


def collect(bitstream: Bitstream, part: dict[str, Any]) -> Frames:
    """The frames that the stream writes, which must be all of the part's."""
    if bitstream.idcode != part["idcode"]:
        raise ReadbackError(f"the stream is for IDCODE {bitstream.idcode:08x}, the database for {part['idcode']:08x}")
    start, data = _written(bitstream)
    rows = addresses(part)
    if start != rows[0][0].word():
        raise ReadbackError(f"frames begin at address {start:08x}, not at the part's first: a partial stream?")
    wanted = sum(len(row) + PADS for row in rows) * WORDS
    if len(data) != wanted:
        raise ReadbackError(f"the stream writes {len(data)} words of frames, the part has {wanted}")
    every = data.reshape(-1, WORDS)
    index: dict[int, int] = {}
    kept = []
    at = 0
    for row in rows:
        for address in row:
            index[address.word()] = len(index)
        kept.append(every[at:at + len(row)])
        at += len(row)
        if every[at:at + PADS].any():
            raise ReadbackError(f"pad frames behind row {row[-1].row} of {row[-1].bus} are not empty")
        at += PADS
    words = np.concatenate(kept)
    words[:, ECC_WORD] &= np.uint32(~ECC_BITS & 0xFFFFFFFF)
    return Frames(index, words)


def _written(bitstream: Bitstream) -> tuple[int, np.ndarray]:
    """The address before the frames, and their words."""
    address = None
    found = []
    for write in bitstream.writes:
        if write.register == "FAR" and len(write.words):
            address = int(write.words[-1])
        elif write.register == "FDRI" and len(write.words):
            if address is None:
                raise ReadbackError("frames before any address of a frame")
            found.append((address, write.words))
    if len(found) != 1:
        raise ReadbackError(f"{len(found)} writes of frames: one that holds the whole part is understood")
    return found[0]
