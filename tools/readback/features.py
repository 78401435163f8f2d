"""Set bits explained by features of the database."""

from __future__ import annotations

from typing import Iterator, NamedTuple

import numpy as np

from .database import Database, Feature
from .frames import Frames

__all__ = ["Features", "explain"]


class Features(NamedTuple):
    """What the bits say, by tile."""

    tiles: dict[str, set[str]]    # features that own set bits
    implied: dict[str, set[str]]  # features of such tiles that consist of bits which are not set
    bits: int                     # set in all frames
    unexplained: list[tuple[int, int, int]]  # address of the frame, word, bit


class _Group(NamedTuple):
    """Tiles with the same features: type, bus, words and which words of the features they own."""

    kind: str
    bus: str
    frames: int
    words: int
    skipped: int  # words of the type's features before the tile's own
    tiles: list[str]
    rows: list[int]     # of the first frame
    offsets: list[int]  # of the first word


def _groups(database: Database, frames: Frames) -> list[_Group]:
    """Tiles that own bits."""
    found: dict[tuple[str, str, int, int, int], _Group] = {}
    for name, tile in database.grid.items():
        for bus, bits in tile["bits"].items():
            alias = bits.get("alias") or {"type": tile["type"], "start_offset": 0}
            key = alias["type"], bus, bits["frames"], bits["words"], alias["start_offset"]
            group = found.setdefault(key, _Group(*key, [], [], []))
            group.tiles.append(name)
            group.rows.append(frames.rows[int(bits["baseaddr"], 16)])
            group.offsets.append(bits["offset"])
    return list(found.values())


def explain(database: Database, frames: Frames) -> Features:
    """Every feature whose bits are as it wants them."""
    tiles: dict[str, set[str]] = {}
    implied: dict[str, set[str]] = {}
    left = frames.words.copy()
    for group in _groups(database, frames):
        cut = np.stack([frames.words[row:row + group.frames, offset:offset + group.words]
                        for row, offset in zip(group.rows, group.offsets)])
        busy = np.flatnonzero(cut.any(axis=(1, 2)))
        if not len(busy):
            continue
        bits = _unpack(cut[busy])
        known = np.zeros_like(bits)
        names = [group.tiles[index] for index in busy]
        for name, matches, ones in _matches(database.features(group.kind, group.bus), group, bits):
            if ones is not None:
                for bit in ones:
                    known[bit] |= matches
            into = implied if ones is None else tiles
            for index in np.flatnonzero(matches):
                into.setdefault(names[index], set()).add(name)
        packed = _pack(known, group)
        for index, block in zip(busy, packed):
            row, offset = group.rows[index], group.offsets[index]
            left[row:row + group.frames, offset:offset + group.words] &= ~block
    address = {row: far for far, row in frames.rows.items()}
    unexplained = [(address[int(row)], int(word), bit) for row, word in zip(*np.nonzero(left))
                   for bit in range(32) if int(left[row, word]) >> bit & 1]
    total = int(np.unpackbits(frames.words.view(np.uint8)).sum())
    return Features(tiles, implied, total, unexplained)


def _unpack(cut: np.ndarray) -> np.ndarray:
    """Bits (frame and bit as one index) x tiles."""
    data = np.ascontiguousarray(cut, dtype="<u4")
    bits = np.unpackbits(data.view(np.uint8), axis=-1, bitorder="little")
    return np.ascontiguousarray(bits.reshape(len(cut), -1).T.astype(bool))


def _pack(known: np.ndarray, group: _Group) -> np.ndarray:
    """The way back."""
    bits = np.ascontiguousarray(known.T).reshape(-1, group.frames, group.words * 32)
    return np.packbits(bits, axis=-1, bitorder="little").view("<u4").astype(np.uint32)


def _matches(features: list[Feature], group: _Group,
             bits: np.ndarray) -> Iterator[tuple[str, np.ndarray, list[int] | None]]:
    """Features that hold in some tile: name, the tiles, and the bits that explains (None: no bit is set for it)."""
    size, skipped = group.words * 32, group.skipped * 32
    seen = np.asarray(bits.any(axis=1))
    for feature in features:
        places = []
        for frame, bit in feature.ones + feature.zeros:
            place = bit - skipped
            if frame >= group.frames or not 0 <= place < size:
                break  # of a neighbour that shares the type's features
            places.append(frame * size + place)
        else:
            ones, zeros = places[:len(feature.ones)], places[len(feature.ones):]
            if not seen[ones].all():
                continue
            matches = np.asarray(bits[ones].all(axis=0)) & ~np.asarray(bits[zeros].any(axis=0))
            if matches.any():
                yield feature.name, matches, ones or None
