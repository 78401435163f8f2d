"""Weights that do not fit: some stay, the others are loaded again for each group of pictures, ahead of the layers.

The memory is cut in two: words that stay, and a window. Layers whose weights are in the window are split by their row
groups, so that two or three pieces have room there: one is used while the next ones come. Thresholds that do not fit
have no words that stay. How large the window is, what stays, and when each load is begun is what costs the fewest
cycles by the model.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import gcd
from typing import Iterator, NamedTuple, Sequence

from .image import Image
from .mapping import Unfit
from .memory import LANES
from .pace import Clock, Named, instruction_cycles, program_cycles
from .program import IMAGE, NO_RING, THRESHOLDS, WEIGHTS, End, Flags, Layer, Load, Place, length

__all__ = ["BATCH", "Streamed", "stream"]

BATCH = 8  # groups of pictures for which a program is the best one
_WINDOWS = (4, 3, 2, 1, 6, 8)  # eighths of the memory
_PIECES = (3, 2)  # that have room in the window; one where no other way is left
_ENOUGH = 1.002  # of the cycles that the program would take if all weights were there
_POINTERS = 1 << 12
_FIRST, _NEXT = Flags(first=True), Flags(next=True)


class Streamed(NamedTuple):
    """A program with its loads, and the loads of what stays."""

    program: list[Named]
    kept: list[Load]


class _Memory(NamedTuple):
    """Of the elements or the clusters: where it lies in the image, its words."""

    target: int
    units: int
    offset: int  # bytes
    depth: int
    used: int

    @property
    def step(self) -> int:
        """Words that an access begins at a multiple of."""
        return 16 // gcd(16, self.units)

    def load(self, first: int, end: int, to: int) -> Load:
        return Load(self.target, IMAGE, self.offset + 8 * self.units * first, (end - first) * self.units, Place(to))


class _Rows(NamedTuple):
    """Row groups of an instruction: words from `base` on, `each` of a row group."""

    base: int
    each: int
    rows: int

    def part(self, first: int, rows: int) -> _Rows:
        return _Rows(self.base + first * self.each, self.each, rows)

    def interval(self, step: int) -> tuple[int, int]:
        """Words of the image that are loaded for them."""
        return self.base // step * step, self.base + self.rows * self.each


class _Piece(NamedTuple):
    """An instruction, or some row groups of one."""

    layer: int | None
    one: Layer
    weights: _Rows
    thresholds: _Rows


class _Fetch(NamedTuple):
    """A load into the words `to` of a window: not before the instruction `free`, for the instruction `need`."""

    layer: int | None
    load: Load
    to: tuple[int, int]
    free: int
    need: int


class _Use(NamedTuple):
    """An instruction, and the loads that it needs."""

    named: Named
    needs: tuple[int, ...] = ()


def stream(program: Sequence[Named], image: Image, geometry: dict[str, int]) -> Streamed | None:
    """The program, whose layers name words of the image, with loads for them; None where it becomes too long.

    Raises
    ------
    Unfit
        A single row group does not fit.
    """
    return _Streamer(program, image, geometry).best()


class _Streamer:
    def __init__(self, program: Sequence[Named], image: Image, geometry: dict[str, int]) -> None:
        self.program, self.geometry = program, geometry
        self.subs = LANES // geometry["pe"]
        offset = image.words()[1]
        self.memories = (
            _Memory(WEIGHTS, geometry["pe"], 0, geometry["weight_words"], image.weight_words),
            _Memory(THRESHOLDS, geometry["pe"] // 4, offset, geometry["threshold_words"], image.threshold_words))
        self.blocks: dict[tuple[_Rows, _Rows], int] = {}  # and the cycles that they are used for
        for layer, one in program:
            if isinstance(one, Layer) and not one.pool:
                key = _rows_of(one)
                self.blocks[key] = self.blocks.get(key, 0) + instruction_cycles(one, geometry)
                for rows, memory in zip(key, self.memories):
                    _check(rows, memory, layer)

    def best(self) -> Streamed | None:
        """Of the ways that are looked at, the one that costs least."""
        enough = _ENOUGH * program_cycles(self.program, self.geometry, BATCH)
        found: Streamed | None = None
        least = 0
        for made in self._ways():
            cycles = program_cycles(made.program, self.geometry, BATCH)
            if found is None or cycles < least:
                found, least = made, cycles
                if least <= enough:
                    break
        return found

    def _ways(self) -> Iterator[Streamed]:
        seen: set[object] = set()
        most = self.geometry["program_words"] - length(End())
        for pieces, eighths in (*product(_PIECES, _WINDOWS), (1, _WINDOWS[-1])):
            cut = _Cut(self, eighths, pieces)
            if not cut.possible or cut.key in seen or pieces == 1 and seen:
                continue
            seen.add(cut.key)
            uses, fetches, after = cut.uses()
            long = sum(length(use.named.one) for use in uses) + sum(length(fetch.load) for fetch in fetches)
            each = 2 if cut.thresholds_move else 1
            for early, flags in ((2 * each, _NEXT), (each, _NEXT), (2 * each, Flags()), (each, Flags()), (0, _NEXT)):
                if long + sum(length(fetch.load) for fetch in fetches[:early]) > most:
                    continue
                if early <= len(fetches) and _apart(fetches[:early]):
                    yield Streamed(self._schedule(uses, fetches, after, early, flags), cut.kept)

    def _schedule(self, uses: list[_Use], fetches: list[_Fetch], after: list[int], early: int,
                  flags: Flags) -> list[Named]:
        """All loads in their order, each as early as it has room; the first ones in the group before, by `flags`."""
        made: list[Named] = []
        queue = _Queue(self.geometry)
        for number, fetch in enumerate(fetches[:early]):
            made.append(Named(fetch.layer, replace(fetch.load, flags=_FIRST)))
            queue.add(number, made[-1])
        pending = [(number, fetch, Flags()) for number, fetch in enumerate(fetches)][early:]
        pending += [(-1, fetch._replace(free=after[number], need=len(uses)), flags)
                    for number, fetch in enumerate(fetches[:early])]
        for index, (named, needs) in enumerate(uses):
            while pending and isinstance(named.one, Layer):
                number, fetch, own = pending[0]
                if fetch.free > index:
                    break
                waited = queue.missing(needs)
                late = fetch.need > index
                if late and (queue.busy(waited) or waited and own.next):
                    break
                if late and waited and not queue.pushed_out(waited):
                    own = replace(own, wait_load=True)
                made.append(Named(fetch.layer, replace(fetch.load, flags=own)))
                queue.add(number, made[-1])
                pending.pop(0)
            if queue.missing(needs):
                named = named._replace(one=replace(named.one, flags=replace(named.one.flags, wait_load=True)))
            made.append(named)
            queue.add(-1, named)
        return made + [Named(fetch.layer, replace(fetch.load, flags=own)) for _, fetch, own in pending]


class _Queue:
    """Loads as they are issued: which of them may be under way, and about when they are over."""

    def __init__(self, geometry: dict[str, int]) -> None:
        self._clock = Clock(geometry)
        self._open: list[tuple[int, bool]] = []  # and whether each group has them
        self._ends: dict[int, int] = {}

    def add(self, number: int, named: Named) -> None:
        one = named.one
        if not one.flags.first:  # those are over, by this clock
            self._clock.issue(one)
        if one.flags.wait_load and not one.flags.next:
            self._open.clear()
        if isinstance(one, Load):
            self._ends[number] = 0 if one.flags.first else self._clock.loaded
            self._open.append((number, not one.flags.next))
            always = [place for place, (_, sure) in enumerate(self._open) if sure]
            if len(always) > 2:  # two may be under way
                self._open = self._open[always[-2] :]

    def missing(self, needs: Sequence[int]) -> set[int]:
        """Those that may still be under way."""
        return {number for number, _ in self._open if number in needs}

    def busy(self, waited: set[int]) -> bool:
        """Whether another load would hold the sequencer longer than it is held by those."""
        moment = max([self._clock.now, *(self._ends[number] for number in waited)])
        return self._clock.under_way(moment) > 1

    def pushed_out(self, waited: set[int]) -> bool:
        """Whether those are over when another load has been issued."""
        always = [place for place, (_, sure) in enumerate(self._open) if sure]
        return len(always) > 1 and not waited & {number for number, _ in self._open[always[-1] :]}


class _Cut:
    """What stays, and how the rest is split.

    Attributes
    ----------
    possible : bool
        Each row group of the rest has room in its part of the window.
    key : object
        Equal where two cuts are.
    kept : list of Load
    """

    def __init__(self, streamer: _Streamer, eighths: int, pieces: int) -> None:
        self.streamer = streamer
        self.weights, self.thresholds = streamer.memories
        self.window = self.weights.depth * eighths // 8 if self.weights.used > self.weights.depth else 0
        self.rooms = self.window // pieces, self.thresholds.depth // pieces
        self.stays = dict.fromkeys(streamer.blocks, 0)  # row groups
        self._keep()
        self.possible = all((rows == block[0].rows or self._most(block)) and self._most(block, True)
                            for block, rows in self.stays.items())
        self.key = self.window, self.rooms if self.window else self.rooms[1], self.thresholds_move
        self.places: dict[_Rows, int] = {}
        self.kept = self._place() if self.possible else []

    @property
    def thresholds_move(self) -> bool:
        return self.thresholds.used > self.thresholds.depth

    def _keep(self) -> None:
        """What waits longest for its words stays."""
        room = self.weights.depth - self.window
        def load(block: tuple[_Rows, _Rows]) -> float:
            return block[0].each * block[0].rows / self.streamer.blocks[block]

        for block in sorted(self.streamer.blocks, key=load, reverse=True):
            rows = block[0]
            if not self.window:
                self.stays[block] = rows.rows
                continue
            count = min(rows.rows, (room - self.weights.step + 1) // rows.each)
            if count > 0:
                self.stays[block] = count
                room -= count * rows.each + self.weights.step - 1

    def _most(self, block: tuple[_Rows, _Rows], stays: bool = False) -> int:
        """Row groups of a piece."""
        found = block[0].rows
        if not stays:
            found = min(found, (self.rooms[0] - self.weights.step + 1) // block[0].each)
        if self.thresholds_move and block[1].each:
            found = min(found, (self.rooms[1] - self.thresholds.step + 1) // block[1].each)
        return max(0, found)

    def _place(self) -> list[Load]:
        """Places of what stays."""
        kept, to = [], 0
        for block, count in self.stays.items():
            if not self.window:  # all of them
                self.places[block[0]] = block[0].base
            elif count:
                rows = block[0].part(0, count)
                first, end = rows.interval(self.weights.step)
                self.places[block[0]] = to + rows.base - first
                kept.append(self.weights.load(first, end, to))
                to += end - first
        if not self.window:
            kept.append(self.weights.load(0, self.weights.used, 0))
        if self.thresholds.used and not self.thresholds_move:
            kept.append(self.thresholds.load(0, self.thresholds.used, 0))
        return kept

    def _pieces(self, named: Named) -> list[tuple[_Piece, int | None]]:
        """Pieces of a layer, and where the weights are of those that stay."""
        one = named.one
        assert isinstance(one, Layer)
        block = _rows_of(one)
        stays = self.stays[block]
        parts: list[tuple[int, int, bool]] = []
        for low, high, there in ((0, stays, True), (stays, block[0].rows, False)):
            if low < high:
                most = self._most(block, there)
                count = -(-(high - low) // most)
                each = -(-(high - low) // count)
                parts += [(first, min(each, high - first), there) for first in range(low, high, each)]
        found: list[tuple[_Piece, int | None]] = []
        for first, rows, there in parts:
            made = _part(one, first, rows, self.streamer.subs)
            if first:  # it waits for nothing that the first one has not waited for
                made = replace(made, safe=255)
            piece = _Piece(named.layer, made, block[0].part(first, rows), block[1].part(first, rows))
            place = self.places[block[0]] + first * block[0].each if there else None
            found.append((piece, place))
        return found

    def uses(self) -> tuple[list[_Use], list[_Fetch], list[int]]:
        """The program in pieces, the loads into the windows, and when their places are free for the next group."""
        windows = (_Window(self.weights, self.weights.depth - self.window), _Window(self.thresholds, 0))
        uses: list[_Use] = []
        fetches: list[_Fetch] = []
        for named in self.streamer.program:
            if not isinstance(named.one, Layer) or named.one.pool:
                uses.append(_Use(named))
                continue
            for piece, place in self._pieces(named):
                needs: list[int] = []
                w_base, t_base = place, piece.thresholds.base
                if w_base is None:
                    w_base = windows[0].use(piece.layer, piece.weights, len(uses), fetches, needs)
                if self.thresholds_move and piece.thresholds.each:
                    t_base = windows[1].use(piece.layer, piece.thresholds, len(uses), fetches, needs)
                made = replace(piece.one, w_base=w_base, t_base=t_base)
                uses.append(_Use(Named(piece.layer, made), tuple(needs)))
        windows_of = {window.memory.target: window for window in windows}
        after = [windows_of[fetch.load.target].free(fetch.to) for fetch in fetches]
        return uses, fetches, after


class _There(NamedTuple):
    """Words in a window: which, where, the load that brought them, the last instruction that used them."""

    rows: _Rows
    first: int
    end: int
    fetch: int
    used: int


class _Window:
    """A part of a memory that is filled from its beginning to its end, and again."""

    def __init__(self, memory: _Memory, base: int) -> None:
        self.memory = memory
        self._base = self._next = base
        self._there: list[_There] = []  # of now
        self._past: list[_There] = []

    def use(self, layer: int | None, rows: _Rows, index: int, fetches: list[_Fetch], needs: list[int]) -> int:
        """Where the words are for this instruction; loaded, where they are not there."""
        first, end = rows.interval(self.memory.step)
        found = next((place for place, one in enumerate(self._there) if one.rows == rows), None)
        if found is None:
            if self._next + end - first > self.memory.depth:
                self._next = self._base
            low, high = self._next, self._next + end - first
            gone = [one for one in self._there if one.first < high and low < one.end]
            free = max([one.used + 1 for one in gone], default=0)
            self._there = [one for one in self._there if one not in gone]
            self._past += gone
            fetches.append(_Fetch(layer, self.memory.load(first, end, low), (low, high), free, index))
            self._there.append(_There(rows, low, high, len(fetches) - 1, index))
            self._next = high
            found = len(self._there) - 1
        one = self._there[found] = self._there[found]._replace(used=index)
        needs.append(one.fetch)
        return one.first + rows.base - first

    def free(self, words: tuple[int, int]) -> int:
        """The first instruction of the program from which on none uses what lies in these words."""
        return max(one.used + 1 for one in (*self._there, *self._past) if one.first < words[1] and words[0] < one.end)


def _rows_of(one: Layer) -> tuple[_Rows, _Rows]:
    slots = 0 if one.raw else 4 * -(-one.levels // 3)
    return _Rows(one.w_base, one.w_row, one.row_groups), _Rows(one.t_base, slots, one.row_groups)


def _check(rows: _Rows, memory: _Memory, layer: int | None) -> None:
    most = memory.depth - memory.step + 1
    if rows.each > most and memory.used > memory.depth:
        what, unit = ("weights", "an element") if memory.target == WEIGHTS else ("thresholds", "a cluster")
        raise Unfit(f"the {what} of a row group make {rows.each} words of {unit}: expected at most {most}", layer)


def _part(one: Layer, first: int, rows: int, subs: int) -> Layer:
    """Some row groups of a layer."""
    if rows == one.row_groups:
        return one
    words, sub = divmod(one.out_sub + first, subs)
    pointer = one.to.pointer + words
    if one.to.ring != NO_RING:
        mask = (1 << one.to.ring) - 1
        pointer = one.to.pointer & ~mask | pointer & mask
    return replace(one, to=one.to._replace(pointer=pointer % _POINTERS), out_sub=sub, row_groups=rows)


def _apart(fetches: Sequence[_Fetch]) -> bool:
    """Whether loads have places of their own."""
    return all(one.load.target != other.load.target or one.to[1] <= other.to[0] or other.to[1] <= one.to[0]
               for place, one in enumerate(fetches) for other in fetches[:place])
