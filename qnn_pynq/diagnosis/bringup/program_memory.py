"""The program memory, which registers only write: seen by what its instructions do.

A program of stores fills it. Each brings a word of the banks that no other brings to a place that no other writes;
which bits would have shown if they had been wrong follows from the fields.
"""

from __future__ import annotations

from typing import Iterator, Mapping, NamedTuple

import numpy as np

from ...families.engine.program import ACTIVATIONS, INPUT, OUTPUT, SCRATCH, End, Load, Place, Store, encode
from .bench import SENTINEL, Bench
from .hour import FAILED, OK, Finding, Hour
from .patterns import fill

__all__ = ["covered", "program"]

_POINTERS = 1 << 12
_NO_RING, _LEAST_NO_RING = 15, 12
_FLAGS_UNSEEN = 0b111 << 6  # to wait once more changes nothing
_RANDOM = 2  # runs, and as many of the opposite
_SHOWN, _KEPT = 3, 100


class _Stores(NamedTuple):
    """Fields of each store, int64 (stores,)."""

    region: np.ndarray
    source: np.ndarray
    alt: np.ndarray  # of the source, in the second group
    words: np.ndarray  # of a bank
    ring: np.ndarray
    slot: np.ndarray  # of memory

    def addresses(self, group: int) -> np.ndarray:
        """Words of the banks, (stores, 2); -1 where the second is not stored."""
        base = self.source ^ self.alt * (group & 1)
        found = np.empty((len(base), 2), np.int64)
        mask = np.where(self.ring >= _LEAST_NO_RING, _POINTERS - 1, (1 << np.minimum(self.ring, 12)) - 1)
        for word in (0, 1):
            found[:, word] = base & ~mask & _POINTERS - 1 | base + word & mask
        found[self.words < 2, 1] = -1
        return found


def program(hour: Hour) -> Finding:
    """Programs of stores that leave no room."""
    bench = hour.bench()
    vectors, depth = bench.geometry["vectors"], bench.geometry["bank_words"]
    count = _most(bench.geometry)
    marks = fill("address", vectors, depth)
    bench.run([Load(ACTIVATIONS, INPUT, 0, vectors * depth, Place(0))], marks.T)
    every = list(_runs(count, depth))
    for number, stores in enumerate(every):
        wrong = _compare(bench, stores, _encode(stores, vectors), marks)
        if wrong:
            return Finding(FAILED, f"{len(wrong)} places of memory, of {count} stores, are not what they should be; "
                                   + "; ".join(wrong[:_SHOWN]), {"wrong": wrong[:_KEPT]})
        hour.tell(number + 1, len(every))
    seen = covered(bench.geometry)
    zeros, ones, both = (_bits(mask) for mask in (seen[0], seen[1], seen[0] & seen[1]))
    text = (f"{2 * count} words of {len(every)} programs did what they say: of {2 * count * 64} bits {zeros} were seen "
            f"as 0, {ones} as 1, {both} as both; the others change nothing that a store does")
    return Finding(OK, text, {"seen_as_0": zeros, "seen_as_1": ones, "seen_as_both": both, "of": 2 * count * 64})


def covered(geometry: Mapping[str, int]) -> np.ndarray:
    """uint64 (2, words): bits of the program memory that would have been noticed had they not been 0, not been 1."""
    count, depth = _most(geometry), geometry["bank_words"]
    seen = np.zeros((2, 2 * count), np.uint64)
    for stores in _runs(count, depth):
        words, shown = _encode(stores, geometry["vectors"])[: 2 * count], _visible(stores, depth)
        seen[0] |= shown & ~words
        seen[1] |= shown & words
    return seen


def _most(geometry: Mapping[str, int]) -> int:
    """Stores of a program; an END is behind them."""
    return (geometry["program_words"] - 1) // 2


def _bits(mask: np.ndarray) -> int:
    return int(np.unpackbits(mask.view(np.uint8)).sum())


def _runs(count: int, depth: int) -> Iterator[_Stores]:
    """Random fields, and the opposite of each; then sources beyond the banks, which read as 0."""
    random = np.random.RandomState(1)
    wide = (depth - 1).bit_length()
    slots = 1 << count.bit_length()
    for _ in range(_RANDOM):
        made = _random(random, count, depth)
        yield made
        low = (1 << wide) - 1
        yield _Stores(OUTPUT + SCRATCH - made.region, made.source ^ low, made.alt ^ low, 3 - made.words,
                      _NO_RING - made.ring, slots - 1 - made.slot)
    for bit in range(wide, 12):
        made = _random(random, count, depth)
        yield made._replace(source=made.source | 1 << bit, alt=made.alt | 1 << bit)


def _random(random: np.random.RandomState, count: int, depth: int) -> _Stores:
    source, other = random.randint(0, depth, (2, count))
    return _Stores(OUTPUT + random.randint(0, 2, count), source, source ^ other, 1 + random.randint(0, 2, count),
                   random.choice([0, _NO_RING], count), random.permutation(1 << count.bit_length())[:count])


def _room(vectors: int) -> int:
    """Words of a slot: three of a bank at least, so that one too many shows."""
    return -(-3 * vectors // 16) * 16


def _encode(stores: _Stores, vectors: int) -> np.ndarray:
    """Words of the program, with `alt` in, which instructions of a network do not have."""
    room = 8 * _room(vectors)
    rows = zip(*(column.tolist() for column in stores))
    words = encode([*(Store(region, slot * room, count, Place(source, ring))
                      for region, source, _, count, ring, slot in rows), End()])
    words[1:-1:2] |= stores.alt.astype(np.uint64) << np.uint64(20)
    return words


def _compare(bench: Bench, stores: _Stores, words: np.ndarray, marks: np.ndarray) -> list[str]:
    """Run a program; where memory is not what it should be, store by store."""
    vectors, depth = marks.shape
    room, count = _room(vectors), len(stores.slot)
    size = room << count.bit_length()
    ran = bench.run(words, output=2 * size, scratch=size, groups=2, strides=(0, 8 * size))
    banks = np.concatenate([marks, np.zeros((vectors, _POINTERS - depth), np.uint64)], axis=1)
    wanted = np.full((3, size // room, room), SENTINEL, np.uint64)  # OUTPUT of both groups, SCRATCH of the last one
    for group in (0, 1):
        addresses = stores.addresses(group)
        for word in (0, 1):
            there = addresses[:, word] >= 0
            place = np.where(stores.region == SCRATCH, 2, group)[there]
            part = slice(word * vectors, (word + 1) * vectors)
            wanted[place, stores.slot[there], part] = banks[:, addresses[there, word]].T
    found = np.concatenate([ran.output, ran.scratch]).reshape(wanted.shape)
    differs = (wanted != found).any(axis=2)
    by_slot = {slot: number for number, slot in enumerate(stores.slot.tolist())}
    wrong = []
    for which, slot in np.argwhere(differs).tolist():
        what = ("first group", "second group", "region 3")[which]
        number = by_slot.get(slot)
        who = "no store" if number is None else f"the store at word {2 * number}"
        at = int(np.argmax(wanted[which, slot] != found[which, slot]))
        wrong.append(f"memory of {who}, {what}: {int(found[which, slot, at]):#018x} instead of "
                     f"{int(wanted[which, slot, at]):#018x}")
    return wrong


def _visible(stores: _Stores, depth: int) -> np.ndarray:
    """Of the words of the stores: bits that would have shown in memory, or as an error, had they been the other."""
    count = len(stores.slot)
    masks = np.full(2 * count, 0xFFFFFFFFFFFFFFFF, np.uint64)
    masks[::2] ^= np.uint64(_FLAGS_UNSEEN)
    effect = _effect(stores, depth)
    alone = _effect(stores._replace(alt=0 * stores.alt), depth)  # `first` leaves the second group out
    changes = [(0, 4, (stores.region == OUTPUT) | (alone != effect).any(axis=1))]
    for bit in range(12):
        changes.append((0, 20 + bit, _differs(stores, "source", bit, depth, effect)))
        changes.append((1, 20 + bit, _differs(stores, "alt", bit, depth, effect)))
    for bit in range(4):
        changes.append((1, 32 + bit, _differs(stores, "ring", bit, depth, effect)))
    for half, bit, shows in changes:
        masks[half::2][~shows] &= np.uint64(0xFFFFFFFFFFFFFFFF ^ 1 << bit)
    return masks


def _differs(stores: _Stores, field: str, bit: int, depth: int, effect: np.ndarray) -> np.ndarray:
    turned = stores._replace(**{field: getattr(stores, field) ^ 1 << bit})
    differs: np.ndarray = (_effect(turned, depth) != effect).any(axis=1)
    return differs


def _effect(stores: _Stores, depth: int) -> np.ndarray:
    """What reaches memory: words of the banks, (stores, 4), all of those beyond them alike."""
    found = np.concatenate([stores.addresses(0), stores.addresses(1)], axis=1)
    found[found >= depth] = depth
    found[stores.region == SCRATCH, :2] = -1  # the second group writes over it
    return found
