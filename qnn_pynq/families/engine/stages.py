"""How steps run in the banks: whole where they fit, else in strips of rows through rings, word by word where they must.

A map between two steps stays in the banks, or goes to memory and comes back in strips. What is best for all steps
together is found step by step: the cheapest way to each place that a map can be in.
"""

from __future__ import annotations

from itertools import product
from math import gcd
from typing import Iterator, NamedTuple, Optional, Sequence, Tuple

from .mapping import Step, Unfit
from .memory import (
    LANES,
    Interval,
    Lanes,
    Layout,
    Run,
    Section,
    Space,
    Want,
    aligned,
    fit,
    ring_bits,
)

__all__ = ["Slice", "Stage", "Strip", "make_stages", "make_strips", "result_layout"]

_BUBBLE = 40  # cycles that a strip costs beside its words, about
_WORD = 2  # cycles that a word of the program is worth: fewer strips are better than more
_LONG = 980  # words of a program that one slice may take


class Form(NamedTuple):
    """A map in memory: one section or one for each group of the channels, words of a pixel together or in rows."""

    sections: bool = False
    split: bool = False


class Strip(NamedTuple):
    """Rows that one turn computes: of the sums, and of the results that are complete then.

    `rows` are those that arrive and are read, `held` the first row of the sums that is still needed.
    """

    sums: tuple[int, int]
    results: tuple[int, int]
    rows: tuple[int, int]
    held: int


class Slice(NamedTuple):
    """Outputs of a step that go through all strips together.

    Attributes
    ----------
    runs : tuple of Run
        Their `sub` counts from the first word of the slice.
    words : (first, end)
        Of the map that it writes.
    arriving : tuple of (section, Space)
        Sections of the map in memory that it reads, and where they come to lie; empty where that is in the banks.
    windows : bool
        Each strip loads all of its rows; else only those that are new.
    ahead : bool
        The next strip is loaded while one is computed.
    strips : tuple of Strip
    sums, results : Space or None
        Of what goes into the pool; of what goes to memory.
    """

    runs: tuple[Run, ...]
    words: tuple[int, int]
    arriving: tuple[tuple[int, Space], ...]
    windows: bool
    ahead: bool
    strips: tuple[Strip, ...]
    sums: Space | None
    results: Space | None


class Stage(NamedTuple):
    """A step, placed.

    Attributes
    ----------
    arrives, leaves : Lanes
    source, target : Space or None
        Of maps in the banks; None for those in memory.
    arriving, leaving : tuple of Section
        Of memory; one of all words for a map in the banks.
    """

    step: Step
    arrives: Lanes
    leaves: Lanes
    source: Space | None
    target: Space | None
    arriving: tuple[Section, ...]
    leaving: tuple[Section, ...]
    slices: tuple[Slice, ...]


def make_strips(step: Step, count: int) -> tuple[Strip, ...]:
    """Strips of `count` rows of sums; of results where a step has a pool alone."""
    (height, _), (high, _), (out, _) = step.size, step.sums_size, step.out_size
    pool, alone = step.pool, step.weights is None
    strips: list[Strip] = []
    done = 0
    total = out if alone else high
    for first in range(0, total, count):
        last = min(first + count, total)
        if alone:
            assert pool is not None
            rows = _window(first, last, pool.size, pool.stride, pool.padding[0], height)
            strips.append(Strip((first, last), (first, last), rows, 0))
            continue
        rows = _window(first, last, step.kernel[0], step.stride, step.padding, height)
        if pool is None:
            strips.append(Strip((first, last), (first, last), rows, first))
            continue
        held = min(max(0, done * pool.stride - pool.padding[0]), first)
        ready = out if last == high else min(out, max(done, (last + pool.padding[0] - pool.size) // pool.stride + 1))
        strips.append(Strip((first, last), (done, ready), rows, held))
        done = ready
    return tuple(strips)


def _window(first: int, last: int, size: int, stride: int, padding: int, height: int) -> tuple[int, int]:
    """Rows below a window's places."""
    low = min(max(0, first * stride - padding), height)
    return low, max(low, min(height, (last - 1) * stride - padding + size))


class _Way(NamedTuple):
    """The cheapest way to a place of a map."""

    cost: int
    stages: tuple[Stage, ...]
    first: tuple[Interval, ...]  # where the first strip lies: it is loaded for the next group as soon as that is free


_Place = Tuple[Optional[Space], Optional[Form]]  # in the banks, or in memory


def make_stages(steps: Sequence[Step], carried: Sequence[Lanes], runs: Sequence[tuple[Run, ...]],
                geometry: dict[str, int], before: Stage | None = None) -> tuple[Stage, ...]:
    """Stages of steps whose first map comes from memory, and whose last one goes there.

    Parameters
    ----------
    carried : sequence of Lanes
        What arrives at each, and what the last one gives.
    runs : sequence of tuple of Run
        Outputs of each.
    before : Stage, optional
        That left the first map in memory; by default the host did.

    Raises
    ------
    Unfit
    """
    return _Planner(steps, carried, runs, geometry, before).plan().stages


def result_layout(stage: Stage, part: Slice) -> Layout:
    """Of the results of a slice, where they wait for their way to memory."""
    section = next(one for one in stage.leaving if one.first <= part.words[0] < one.first + one.layout.words)
    return section.layout._replace(words=part.words[1] - part.words[0])


class _Planner:
    def __init__(self, steps: Sequence[Step], carried: Sequence[Lanes], runs: Sequence[tuple[Run, ...]],
                 geometry: dict[str, int], before: Stage | None) -> None:
        self.steps, self.carried, self.runs = steps, carried, runs
        self.depth, self.vectors = geometry["bank_words"], geometry["vectors"]
        self.elements = geometry["pe"]
        self.subs = LANES // self.elements
        self.step_words = 16 // gcd(16, self.vectors)  # of a bank: an access begins at 128 bytes
        self.before = before
        self.strips: dict[tuple[int, int], tuple[Strip, ...]] = {}

    def plan(self) -> _Way:
        ways = self._begin()
        for number, step in enumerate(self.steps):
            last = number == len(self.steps) - 1
            arrives, leaves = self.carried[number : number + 2]
            found: dict[_Place, _Way] = {}
            for place, way in ways.items():
                # First without the words of the first strip; what uses them late costs more than what does early.
                for free, more in ((way.first, 0), ((), number + 1)) if way.first else (((), 0),):
                    for cost, stage, to in self._ways(step, arrives, leaves, place, free, self.runs[number], last):
                        cost += way.cost + more
                        if to not in found or cost < found[to].cost:
                            found[to] = _Way(cost, (*way.stages, stage), way.first if number else _first_strip(stage))
            if not found:
                raise Unfit(f"its map of {step.size[0]} x {step.size[1]} with {step.inputs} channels of {step.in_bits} "
                            f"bits and its results do not fit in banks of {self.depth} words, not even row by row",
                            step.layer)
            ways = found
        return min(ways.values(), key=lambda way: way.cost)

    def _begin(self) -> dict[_Place, _Way]:
        """Ways to have the first map in memory."""
        start = _Way(0, (), ())
        if self.before is not None:
            return {(None, Form(len(self.before.leaving) > 1, bool(self.before.leaving[0].layout.split))): start}
        forms = [Form()] if self.steps[0].groups == 1 else [Form(), Form(sections=True)]
        return {(None, form): start for form in forms}

    def _ways(self, step: Step, arrives: Lanes, leaves: Lanes, place: _Place, reserved: tuple[Interval, ...],
              runs: tuple[Run, ...], last: bool) -> Iterator[tuple[int, Stage, _Place]]:
        """Ways to run a step on a map at a place: what it costs, the stage, and where its results are."""
        space, form = place
        arriving = self._sections(arrives, form)
        taken = list(reserved) + ([] if space is None else [(space.base, space.base + space.size)])
        for target_form in self._forms(leaves):
            leaving = self._sections(leaves, target_form)
            for cut in self._cuts(leaves, target_form):
                placed = self._slices(step, arrives, space, taken, arriving, leaving, cut, runs, True)
                if placed is not None:
                    stage = Stage(step, arrives, leaves, space, None, arriving, leaving, placed[1])
                    yield placed[0], stage, (None, target_form)
        if last:
            return
        leaving = self._sections(leaves, None)
        for high in (False, True):
            room = fit(self.depth, taken, [Want(leaving[0].layout.total)], high)
            if room is None:
                return
            target = room[0]
            used = [*taken, (target.base, target.base + target.size)]
            for cut in self._cuts(leaves, None):
                placed = self._slices(step, arrives, space, used, arriving, leaving, cut, runs, False)
                if placed is not None:
                    stage = Stage(step, arrives, leaves, space, target, arriving, leaving, placed[1])
                    yield placed[0], stage, (target, None)
                    break

    @staticmethod
    def _forms(leaves: Lanes) -> list[Form]:
        forms = [Form()]
        if leaves.words > 1:
            forms.append(Form(split=True))
        if len(leaves.starts) > 2:
            forms += [Form(sections=True), Form(sections=True, split=True)]
        return forms

    def _sections(self, carried: Lanes, form: Form | None) -> tuple[Section, ...]:
        split = aligned(carried.size[1] * carried.planes, self.step_words) if form is not None and form.split else 0
        ends = list(zip(carried.starts, carried.starts[1:]))
        if form is None or not form.sections:
            ends = [(0, carried.words)]
        found, offset = [], 0
        for first, end in ends:
            layout = Layout(carried.size, carried.planes, end - first, split)
            found.append(Section(first, layout, offset))
            offset += aligned(layout.total, self.step_words)
        return tuple(found)

    @staticmethod
    def _cuts(leaves: Lanes, form: Form | None) -> list[list[tuple[int, int]]]:
        """Words of the results, in slices."""
        whole, single = [(0, leaves.words)], [(word, word + 1) for word in range(leaves.words)]
        if form is None:
            return [whole, single] if leaves.words > 1 else [whole]
        if form.split:
            return [single]
        return [list(zip(leaves.starts, leaves.starts[1:])) if form.sections else whole]

    # -- slices -------------------------------------------------------------------------------------------

    def _slices(self, step: Step, arrives: Lanes, space: Space | None, taken: list[Interval],
                arriving: tuple[Section, ...], leaving: tuple[Section, ...], cut: list[tuple[int, int]],
                runs: tuple[Run, ...], stored: bool) -> tuple[int, tuple[Slice, ...]] | None:
        """All slices of a step, and what they cost; None where one does not fit."""
        found: list[Slice] = []
        known: dict[object, tuple[int, Slice] | None] = {}
        total = 0
        for words in cut:
            mine = _part(runs, words, self.subs)
            sections: tuple[int, ...] = ()
            if space is None:
                sections = self._read(step, arrives, arriving, mine, words)
            split = max(section.layout.split for section in leaving)
            rows = sum(-(-run.outputs // self.elements) for run in mine)
            layouts = [arriving[number].layout for number in sections]
            key = words[1] - words[0], tuple(layouts), len(mine), rows
            if key not in known:
                known[key] = self._best(step, words, layouts, mine, rows, taken, stored, split)
            best = known[key]
            if best is None:
                return None
            total += best[0]
            spaces = tuple((number, place) for number, (_, place) in zip(sections, best[1].arriving))
            found.append(best[1]._replace(runs=mine, words=words, arriving=spaces))
        return total, tuple(found)

    @staticmethod
    def _read(step: Step, arrives: Lanes, arriving: tuple[Section, ...], runs: tuple[Run, ...],
              words: tuple[int, int]) -> tuple[int, ...]:
        """Sections of memory that a slice reads."""
        if len(arriving) == 1:
            return (0,)
        if step.weights is None:
            firsts = [words]
        else:
            groups = sorted({run.group for run in runs})
            firsts = [(arrives.starts[group], arrives.starts[group + 1]) for group in groups]
        return tuple(number for number, section in enumerate(arriving)
                     if any(section.first < end and first < section.first + section.layout.words
                            for first, end in firsts))

    def _best(self, step: Step, words: tuple[int, int], layouts: list[Layout], runs: tuple[Run, ...], rows: int,
              taken: list[Interval], stored: bool, split: int) -> tuple[int, Slice] | None:
        """The cheapest slice, its runs and words to be filled in."""
        best: tuple[int, Slice] | None = None
        total = step.out_size[0] if step.weights is None else step.sums_size[0]
        ways = [(True, False), (False, False), (False, True)] if layouts else [(False, False)]
        # A second strip of results has room while the first one is stored, or not.
        for (ahead, windows), kept in product(ways, (2, 1) if stored else (2,)):
            for count in range(total, 0, -1):
                key = step.layer, count
                if key not in self.strips:
                    self.strips[key] = make_strips(step, count)
                strips = self.strips[key]
                wants = self._wants(step, words, layouts, strips, kept if stored else 0, split, ahead, windows)
                spaces = fit(self.depth, taken, wants)
                if spaces is None:
                    continue
                places = tuple(enumerate(spaces[: len(layouts)]))
                rest = spaces[len(layouts) :]
                sums = rest.pop(0) if step.weights is not None and step.pool is not None else None
                made = Slice((), words, places, windows, ahead, strips, sums, rest[0] if rest else None)
                cost, long = self._cost(step, layouts, made, len(runs), rows, split)
                if kept == 1 and len(strips) > 1:
                    cost += step.out_size[0] * rest[0].size * self.vectors // max(1, total)
                if long <= _LONG and (best is None or cost < best[0]):
                    best = cost, made
                break
        return best

    def _wants(self, step: Step, words: tuple[int, int], layouts: list[Layout], strips: tuple[Strip, ...], stored: int,
               split: int, ahead: bool, windows: bool) -> list[Want]:
        """Room for the rows that arrive, for sums in front of a pool, for results on their way to memory."""
        found = []
        for layout in layouts:
            last = strips[1:] if ahead else strips
            ends = [*(strip.rows[1] for strip in last), strips[-1].rows[1]]
            most = max(end - strip.rows[0] for strip, end in zip(strips, ends)) * layout.row
            around = self.step_words if layout.row % self.step_words else 0  # rows that begin within an access
            most += around
            if windows:
                found.append(Want(most + around))
            else:
                found.append(_want(most, aligned(layout.total, self.step_words)))
        count = words[1] - words[0]
        if step.weights is not None and step.pool is not None:
            row = step.sums_size[1] * step.planes * count
            most = max(strip.sums[1] - strip.held for strip in strips) * row
            found.append(_want(most, step.sums_size[0] * row))
        if stored:
            row = split or step.out_size[1] * step.planes * count
            most = stored * max(strip.results[1] - strip.results[0] for strip in strips) * row
            around = self.step_words if len(strips) > 1 and row % self.step_words else 0
            found.append(_want(most + around, step.out_size[0] * row))
        return found

    def _cost(self, step: Step, layouts: list[Layout], made: Slice, runs: int, rows: int,
              split: int) -> tuple[int, int]:
        """Cycles beside those of the array, about, and words of the program."""
        per_row = step.out_size[1]
        if step.weights is not None:
            taps = step.kernel[0] * step.kernel[1] * -(-step.inputs // step.groups // LANES)
            per_row = step.sums_size[1] * rows * step.weight_bits * step.in_bits * taps
        loads = []
        loaded = 0
        for strip in made.strips:
            new = strip.rows[1] - (strip.rows[0] if made.windows else max(loaded, strip.rows[0]))
            loaded = max(loaded, strip.rows[1])
            loads.append(new * sum(layout.row for layout in layouts) * self.vectors)
        fed = [(strip.sums[1] - strip.sums[0]) * per_row for strip in made.strips]
        cost = loads[0]
        for load, before in zip(loads[1:], fed):
            hidden = made.ahead or made.windows and len(layouts) > 1
            cost += max(0, load - before) if hidden else load
        gap = split and step.out_size[1] * step.planes != split
        long = 0
        for strip in made.strips:
            results = strip.results[1] - strip.results[0]
            turns = results if gap else 1 if results else 0
            long += 2 * len(layouts)
            if made.results is not None:
                long += 2 * (results if split else 1 if results else 0)
            if step.weights is not None:
                long += 6 * runs * (1 if step.pool is not None else turns)
            if step.pool is not None:
                long += 6 * turns
        return cost + _BUBBLE * len(made.strips) + _WORD * long, long


def _want(most: int, total: int) -> Want:
    """A ring, or the whole map where that takes no more."""
    return Want(total) if total <= 1 << ring_bits(most) else Want(most, True)


def _first_strip(stage: Stage) -> tuple[Interval, ...]:
    """Where the first strip of a step comes to lie."""
    part = stage.slices[0]
    found = []
    for number, space in part.arriving:
        words = part.strips[0].rows[1] * stage.arriving[number].layout.row
        found.append((space.base, space.base + min(space.size, words + 16)))
    return tuple(found)


def _part(runs: tuple[Run, ...], words: tuple[int, int], subs: int) -> tuple[Run, ...]:
    """What of the runs lies in these words; a run that begins there keeps its place in them."""
    elements = LANES // subs
    found = []
    first, end = words[0] * subs, words[1] * subs
    for run in runs:
        low, high = max(run.sub, first), min(run.sub + -(-run.outputs // elements), end)
        if low < high:
            skip = (low - run.sub) * elements
            count = min(run.outputs - skip, (high - low) * elements)
            found.append(Run(run.group, run.first + skip, count, low - first))
    return tuple(found)
