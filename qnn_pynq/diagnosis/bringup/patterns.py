"""Patterns for memories of 64-bit words, and what differs from them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["PATTERNS", "Wrong", "compare", "fill"]

# Each bit is 0 and 1 in several of them, and neighbours differ; "address" and "random" tell words from each other.
PATTERNS = ("zeros", "ones", "checkerboard", "inverse checkerboard", "address", "random")
_EVEN, _ALL = 0x5555555555555555, 0xFFFFFFFFFFFFFFFF
_SPREAD = 0x9E3779B97F4A7C15  # odd: different places give different words
_SHOWN = 4


def fill(name: str, memories: int, words: int) -> np.ndarray:
    """uint64 (memories, words) of a pattern; the same whenever it is asked for."""
    place = np.arange(memories * words, dtype=np.uint64).reshape(memories, words)
    if name == "random":
        return np.random.RandomState(1).randint(0, 1 << 64, (memories, words), np.uint64)
    if name == "address":
        return (place + np.uint64(1)) * np.uint64(_SPREAD)
    if name in ("checkerboard", "inverse checkerboard"):
        turned = (place & np.uint64(1)) * np.uint64(_ALL)
        return turned ^ np.uint64(_EVEN if name == "checkerboard" else _EVEN ^ _ALL)
    return np.full((memories, words), _ALL if name == "ones" else 0, np.uint64)


class Wrong(NamedTuple):
    """What is wrong in a memory: bits, of how many words, and the first of them in words."""

    bits: int
    words: int
    first: list[str]


def compare(what: str, name: str, expected: np.ndarray, found: np.ndarray) -> Wrong | None:
    """Bits of uint64 (memories, words) that differ; None where none does.

    Parameters
    ----------
    what : str
        What one of the memories is called.
    name : str
        Of the pattern.
    """
    differs = expected ^ found
    places = np.argwhere(differs != 0)
    if not len(places):
        return None
    first = []
    for memory, word in places[:_SHOWN].tolist():
        bits = [bit for bit in range(64) if int(differs[memory, word]) >> bit & 1]
        shown = ", ".join(map(str, bits[:_SHOWN])) + (" ..." if len(bits) > _SHOWN else "")
        first.append(f"{name}: {what} {memory}, word {word}, bit {shown}: {int(found[memory, word]):#018x} instead of "
                     f"{int(expected[memory, word]):#018x}")
    wrong = np.unpackbits(np.ascontiguousarray(differs[tuple(places.T)]).view(np.uint8))
    return Wrong(int(wrong.sum()), len(places), first)
