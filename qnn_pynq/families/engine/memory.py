"""Where maps lie: their words in banks and in memory, lanes of their channels, room in the banks."""

from __future__ import annotations

from typing import NamedTuple, Sequence, Tuple

import numpy as np

from .program import NO_RING, Place

__all__ = ["LANES", "Interval", "Lanes", "Layout", "Run", "Section", "Space", "Want", "aligned", "fit", "lanes_of",
           "place_inputs", "place_runs", "ring_bits"]

LANES = 64
_ROW_GROUPS = 256  # of an instruction
_POINTERS = 1 << 12

Interval = Tuple[int, int]


def aligned(words: int, step: int) -> int:
    """Rounded up."""
    return -(-words // step) * step


class Layout(NamedTuple):
    """Strides of a map, in words of a bank.

    The words of a pixel lie one behind the other, plane by plane; or, where `split` is not 0, each word has rows of its
    own, `split` words long, those of the same y one behind the other.
    """

    size: tuple[int, int]
    planes: int
    words: int
    split: int = 0

    @property
    def st_word(self) -> int:
        return self.split or 1

    @property
    def st_plane(self) -> int:
        return 1 if self.split else self.words

    @property
    def st_x(self) -> int:
        return self.planes if self.split else self.planes * self.words

    @property
    def row(self) -> int:
        """Words of a row."""
        return self.words * self.split if self.split else self.size[1] * self.st_x

    @property
    def total(self) -> int:
        """Words of the map."""
        return self.size[0] * self.row

    def at(self, y: int, x: int = 0, word: int = 0, plane: int = 0) -> int:
        """Words in front of this one; also of places outside of the map."""
        return y * self.row + x * self.st_x + word * self.st_word + plane * self.st_plane


class Space(NamedTuple):
    """Words of the banks: `size` from `base` on, a ring of them where `ring` says so."""

    base: int
    size: int
    ring: int = NO_RING

    def place(self, word: int) -> Place:
        """The place of a word, counted from the map's first one."""
        if self.ring == NO_RING:
            return Place((self.base + word) % _POINTERS)
        return Place(self.base | word % (1 << self.ring), self.ring)


class Section(NamedTuple):
    """Channel words of a map that lie together in memory.

    Attributes
    ----------
    first : int
        Its first word, of the map's.
    layout : Layout
    offset : int
        Words of a bank in front of it.
    """

    first: int
    layout: Layout
    offset: int


class Run(NamedTuple):
    """Outputs `first` to `first + count` of a layer, all of one group of its channels, from sub-word `sub` on."""

    group: int
    first: int
    outputs: int
    sub: int


class Lanes(NamedTuple):
    """A map between two steps, as words.

    Attributes
    ----------
    starts : tuple of int
        First word of each group of the channels that reads it, and the end.
    channels : int array (64 * words,)
        Channel of each lane, -1 where there is none.
    """

    size: tuple[int, int]
    planes: int
    starts: tuple[int, ...]
    channels: np.ndarray

    @property
    def words(self) -> int:
        """Of a pixel and plane."""
        return self.starts[-1]


def place_runs(outputs: int, groups: int, next_groups: int, elements: int) -> tuple[tuple[Run, ...], tuple[int, ...]]:
    """Row groups for the channels of a layer, and the first word of each group of the next one, the end included.

    Channels that the next layer reads as one group have words of their own: what the engine takes off for the offset of
    the weights is the sum of all lanes of a word.
    """
    subs = LANES // elements
    runs: list[Run] = []
    starts, sub = [0], 0
    each, behind = outputs // groups, outputs // next_groups
    for part in range(next_groups):
        at, end = part * behind, (part + 1) * behind
        while at < end:
            group = at // each
            count = min(end, (group + 1) * each, at + _ROW_GROUPS * elements) - at
            runs.append(Run(group, at, count, sub))
            sub += -(-count // elements)
            at += count
        sub = aligned(sub, subs)
        starts.append(sub // subs)
    return tuple(runs), tuple(starts)


def place_inputs(size: tuple[int, int], planes: int, channels: int, groups: int) -> Lanes:
    """A map that the host packs: each group of the channels has words of its own."""
    each = channels // groups
    words = -(-each // LANES)
    runs = [Run(group, group * each, each, group * words) for group in range(groups)]
    starts = tuple(words * group for group in range(groups + 1))
    return Lanes(size, planes, starts, lanes_of(runs, starts[-1], LANES))


def lanes_of(runs: Sequence[Run], words: int, unit: int) -> np.ndarray:
    """Channel of each lane of so many words, -1 where there is none; sub-words of `unit` lanes."""
    channels = np.full(words * LANES, -1)
    for run in runs:
        channels[run.sub * unit : run.sub * unit + run.outputs] = run.first + np.arange(run.outputs)
    return channels


# -- room -------------------------------------------------------------------------------------------------


class Want(NamedTuple):
    """Words that are wanted: a ring of a power of two, or so many in a row."""

    size: int
    ring: bool = False


def ring_bits(words: int) -> int:
    """Of the smallest ring that holds so many."""
    return max(0, words - 1).bit_length()


def fit(depth: int, taken: Sequence[Interval], wants: Sequence[Want], high: bool = False) -> list[Space] | None:
    """Spaces for all of `wants` beside what is taken; None where they do not fit. `high`: the last one at the end."""
    used = list(taken)
    found: list[Space | None] = [None] * len(wants)
    rings = sorted((place for place, want in enumerate(wants) if want.ring), key=lambda place: -wants[place].size)
    for place in rings + [place for place, want in enumerate(wants) if not want.ring]:
        want = wants[place]
        bits = ring_bits(want.size) if want.ring else NO_RING
        size = 1 << bits if want.ring else want.size
        base = _first(depth, used, size, size if want.ring else 1, high and place == len(wants) - 1)
        if base is None:
            return None
        found[place] = Space(base, size, bits)
        used.append((base, base + size))
    return [space for space in found if space is not None]


def _first(depth: int, used: Sequence[Interval], size: int, step: int, high: bool) -> int | None:
    ends = [aligned(end, step) for _, end in used] + [0]
    starts = [(start - size) // step * step for start, _ in used] + [(depth - size) // step * step]
    for base in sorted({place for place in starts + ends if place >= 0}, reverse=high):
        if base + size <= depth and all(base + size <= start or end <= base for start, end in used):
            return base
    return None
