"""Programs and registers that are wrong in one way, each from one number; the oracle says which error they end in."""

from __future__ import annotations

from typing import Any, Iterable

import numpy as np

from .cases import Case, Config, Run, make_case, words_of
from .fields import END, LAYER, LENGTH, LOAD, POOL, RESERVED, STORE, encode
from .oracle import PROGRAM_WORDS, WATCHDOG, Memory, Oracle

__all__ = ["UNMAPPED", "WAYS", "make_hostile"]

UNMAPPED = 0xFFFF0000  # no memory there, on any board
_FED = 60000  # words: a program that goes on for longer is not played


class _Hostile:
    def __init__(self, seed: int, config: Config) -> None:
        self.rng = np.random.default_rng((seed, 77))
        self.good = make_case(seed, config)
        run = self.good.runs[1]
        self.config, self.words, self.groups, self.watchdog = config, list(run.program), run.groups, None
        self.regions = list(run.regions)
        self.unmapped: int | None = None
        self.expected: int | None = None
        self.starts, at = [], 0
        while at < len(self.words):
            self.starts.append(at)
            at += LENGTH[self.words[at] & 15]

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def some(self, *ops: int) -> int | None:
        """Start of an instruction of one of these kinds."""
        found = [at for at in self.starts if self.words[at] & 15 in ops]
        return found[self.between(0, len(found) - 1)] if found else None

    def used(self, numbers: Iterable[int]) -> int | None:
        """One of the regions that have a size."""
        found = [number for number in numbers if self.regions[number].size]
        return found[self.between(0, len(found) - 1)] if found else None

    # -- ways to be wrong: False where a program has no place for it ------------------------------------------------
    def unknown_op(self) -> Any:
        at = self.some(END, LOAD, STORE, LAYER, POOL)
        self.words[at] = self.words[at] & ~15 | (0, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)[self.between(0, 10)]

    def reserved_bit(self) -> Any:
        at = self.some(END, LOAD, STORE, LAYER, POOL)
        self.words[at] |= 1 << self.between(9, 15)

    def reserved_bit_of_block(self) -> Any:
        at = self.some(LAYER, POOL)
        places = [(word, bit) for word, low, bits in RESERVED[LAYER][1:] for bit in range(low, low + bits)]
        word, bit = places[self.between(0, len(places) - 1)]
        self.words[at + word] |= 1 << bit

    def reserved_bit_of_transfer(self) -> Any:
        at = self.some(LOAD, STORE)
        if at is None:
            return False
        op = self.words[at] & 15
        places = [(word, bit) for word, low, bits in RESERVED[op][1:] for bit in range(low, low + bits)]
        word, bit = places[self.between(0, len(places) - 1)]
        self.words[at + word] |= 1 << bit
        return True

    def next_without_load(self) -> Any:
        at = self.some(END, STORE, LAYER, POOL)
        self.words[at] |= 1 << 5

    def first_end(self) -> Any:
        self.words[-1] |= 1 << 4

    def many_levels(self) -> Any:
        """More thresholds, or nibbles of a sum, than there are."""
        at = self.some(LAYER)
        if at is None:
            return False
        raw = self.words[at] >> 16 & 1
        self.words[at] |= (self.between(8, 15) if raw else 15) << 18
        return True

    def pool_of_sums(self) -> Any:
        """A pool with fields that only layers have."""
        at = self.some(POOL)
        if at is None:
            return False
        word, bit = ((0, 16), (0, 24), (0, 26), (0, 27), (0, 29), (4, 42), (4, 49))[self.between(0, 6)]
        self.words[at + word] |= 1 << bit
        return True

    def load_target(self) -> Any:
        at = self.some(LOAD)
        if at is None:
            return False
        self.words[at] |= 3 << 16
        return True

    def store_region(self) -> Any:
        at = self.some(STORE)
        if at is None:
            return False
        self.words[at] = self.words[at] & ~(3 << 18) | self.between(0, 1) << 18
        return True

    def misaligned_offset(self) -> Any:
        at = self.some(LOAD, STORE)
        if at is None:
            return False
        self.words[at] += self.between(1, 127) << 32
        return True

    def far_offset(self) -> Any:
        at = self.some(LOAD, STORE)
        if at is None:
            return False
        self.words[at] = self.words[at] & (2**32 - 1) | (2**32 - 128 * self.between(1, 40)) << 32
        return True

    def many_words(self) -> Any:
        at = self.some(LOAD)
        if at is None:
            return False
        self.words[at + 1] |= (1 << 20) - 1
        return True

    def small_region(self) -> Any:
        which = self.used(range(4))
        if which is None:
            return False
        region = self.regions[which]
        self.regions[which] = region._replace(
            size=max(0, region.size - self.between(257, 400)) if self.between(0, 3) else 0
        )
        return True

    def misaligned_base(self) -> Any:
        which = self.used(range(4))
        if which is None:
            return False
        self.regions[which] = self.regions[which]._replace(base=self.regions[which].base + self.between(1, 127))
        return True

    def wide_stride(self) -> Any:
        which = self.between(1, 2)
        self.regions[which] = self.regions[which]._replace(stride=2**32 - 128 * self.between(1, 1 << 20))
        self.groups = max(2, self.groups)

    def misaligned_stride(self) -> Any:
        which = self.between(1, 2)
        self.regions[which] = self.regions[which]._replace(stride=self.between(1, 127))
        self.groups = max(2, self.groups)

    def no_end(self) -> Any:
        del self.words[-1]

    def past_the_end(self) -> Any:
        """Program memory full to the last word, or with an instruction cut by it, and no END."""
        block = dict(self.good.program[[f["op"] in (LAYER, POOL) for f in self.good.program].index(True)])
        block.update(op=LAYER, oy=1, ox=1, ky=1, kx=1, n0=1, groups=1, rgs=1, weight_bits=1, act_bits=1, safe=255)
        for flag in ("first", "wait_load", "wait_store", "wait_drain"):
            block.pop(flag, None)
        layer = words_of([block])
        load = encode(LOAD, target=2, region=0, dst=0, words=1, offset=0, ring=12)
        self.words = []
        left = self.between(0, 5)
        while len(self.words) + 6 <= PROGRAM_WORDS - left:
            self.words += layer if self.between(0, 3) == 0 else load
        while len(self.words) + 2 <= PROGRAM_WORDS:
            self.words += load if self.between(0, 3) else layer
        self.words = self.words[:PROGRAM_WORDS]
        self.regions[0] = self.regions[0]._replace(size=max(128, self.regions[0].size))

    def no_groups(self) -> Any:
        self.groups = 0

    def pool_planes(self) -> Any:
        at = self.some(POOL)
        if at is None:
            return False
        self.words[at] = (self.words[at] & ~(255 << 56)) | ((self.words[at] >> 56) + self.between(1, 200)) % 256 << 56
        return True

    def garbage(self) -> Any:
        """Words at random, in instructions that are none, or that are right but for what they say."""
        words: list[int] = []
        for _ in range(self.between(1, 8)):
            op = self.between(1, 5)
            part = [int(w) for w in self.rng.integers(0, 2**64, LENGTH[op], dtype=np.uint64)]
            if self.between(0, 7):
                part[0] = part[0] & ~0x3F | op | (self.between(0, 1) << 5 if op == LOAD else 0)
                for word, low, bits in RESERVED[op]:
                    part[word] &= ~(((1 << bits) - 1) << low)
            words += part
        self.words = words

    def slow_watchdog(self) -> Any:
        """Fewer cycles than one layer takes."""
        block = dict(self.good.program[[f["op"] in (LAYER, POOL) for f in self.good.program].index(True)])
        block.update(
            op=LAYER,
            oy=self.between(30, 90),
            ox=20,
            ky=1,
            kx=1,
            n0=2,
            groups=1,
            rgs=1,
            weight_bits=2,
            act_bits=2,
            safe=255,
            first=0,
        )
        self.words = words_of([block, {"op": END}])
        self.watchdog = self.between(1, 300)
        self.expected = WATCHDOG

    def nothing_there(self) -> Any:
        """A region where there is no memory."""
        self.unmapped = self.used(range(3))
        if self.unmapped is None:
            return False
        self.regions[self.unmapped] = self.regions[self.unmapped]._replace(base=UNMAPPED, stride=0, size=0xF000)
        return True


WAYS = tuple(name for name in vars(_Hostile) if not name.startswith("_") and name not in ("between", "some", "used"))


def make_hostile(seed: int, config: Config, way: str | None = None) -> tuple[Case, int | None, int | None]:
    """The wrong case of a number, the error code that it ends in (0: it is right after all), and the word of STATUS.

    None for a word that is not said.
    """
    for attempt in range(100):
        number = seed + (attempt << 32)
        hostile = _Hostile(number, config)
        chosen = way or WAYS[hostile.between(0, len(WAYS) - 1)]
        if getattr(hostile, chosen)() is False:
            continue
        run = Run(chosen, hostile.words, hostile.groups, tuple(hostile.regions), hostile.watchdog, hostile.unmapped)
        case = Case(seed, "hostile: " + chosen.replace("_", " "), config, hostile.good.memory, (run,), 0, [])
        if hostile.expected is not None:
            return case, hostile.expected, None
        oracle = Oracle(*config)
        try:
            outcome = oracle.run(run.program, run.groups, run.regions, Memory(0, case.memory.copy()), _FED)
        except OverflowError:
            continue
        return case, outcome.code, outcome.word
    raise AssertionError(f"no hostile case of number {seed}, {way}")
