"""Instructions of stages: loads of strips, layers, pools, stores."""

from __future__ import annotations

from dataclasses import replace
from math import gcd
from typing import NamedTuple, Sequence

from .image import Image, window_of
from .memory import LANES, Layout, Run, Section, Space, aligned
from .program import ACTIVATIONS, Flags, Instruction, Layer, Load, Store
from .stages import Slice, Stage, Strip, result_layout

__all__ = ["Area", "Emission", "stage_bytes"]


class Area(NamedTuple):
    """Where a map begins in memory: region and bytes."""

    region: int
    offset: int = 0


def stage_bytes(sections: Sequence[Section], vectors: int) -> int:
    """Bytes that a map takes in memory, of one group of pictures."""
    last = sections[-1]
    return aligned(last.offset + last.layout.total, 16 // gcd(16, vectors)) * vectors * 8


class Emission:
    """The instructions of one program, in order.

    Parameters
    ----------
    geometry : dict
    image : Image
        Has the weights of all that comes.

    Attributes
    ----------
    found : list of (layer or None, Instruction)
        With the index of the network's layer that each is for.
    """

    def __init__(self, geometry: dict[str, int], image: Image) -> None:
        self._vectors, self._elements = geometry["vectors"], geometry["pe"]
        self._subs = LANES // self._elements
        self._image = image
        self._step_words = 16 // gcd(16, self._vectors)  # of a bank: an access begins at 128 bytes
        self.found: list[tuple[int | None, Instruction]] = []

    def stage(self, stage: Stage, slices: Sequence[Slice], source: Area, target: Area) -> None:
        """Some slices of a stage."""
        for part in slices:
            _Turn(self, stage, part, source, target).run()

    def add(self, layer: int, instruction: Instruction) -> None:
        self.found.append((layer, instruction))


class _Turn:
    """One slice of a stage, strip by strip."""

    def __init__(self, emission: Emission, stage: Stage, part: Slice, source: Area, target: Area) -> None:
        self.emission, self.stage, self.part, self.source, self.target = emission, stage, part, source, target
        self.vectors, self.step_words = emission._vectors, emission._step_words
        self.loaded = [0] * len(part.arriving)
        self.stored = 0
        self.begun = [0] * len(part.arriving)  # first word of a window

    def run(self) -> None:
        """All strips."""
        part = self.part
        if part.windows:
            self._windows()
            return
        strips = part.strips
        for number, strip in enumerate(strips):
            if not number or not part.ahead:
                self.load(strip, Flags())
            if part.ahead and number + 1 < len(strips):
                self.load(strips[number + 1], Flags(wait_load=True))
            self._compute(strip, range(len(part.arriving)))
            self._finish(strip)

    def _windows(self) -> None:
        """Sections take turns: one is loaded while another is read; one alone is loaded when it has been read."""
        part = self.part
        if len(part.arriving) == 1:
            for strip in part.strips:
                self._window(strip, 0, Flags())
                self._compute(strip, (0,))
                self._finish(strip)
            return
        turns = [(strip, place) for strip in part.strips for place in range(len(part.arriving))]
        self._window(*turns[0], Flags())
        for number, (strip, place) in enumerate(turns):
            if number + 1 < len(turns):  # of another section than the one that is read now
                self._window(*turns[number + 1], Flags(wait_load=True))
            self._compute(strip, (place,))
            if place == len(part.arriving) - 1:
                self._finish(strip)

    # -- memory -------------------------------------------------------------------------------------------

    def load(self, strip: Strip, flags: Flags) -> None:
        """The rows of a strip that are not there."""
        for place, (number, space) in enumerate(self.part.arriving):
            section = self.stage.arriving[number]
            layout = section.layout
            first = max(self.loaded[place], strip.rows[0] * layout.row // self.step_words * self.step_words)
            end = min(-(-strip.rows[1] * layout.row // self.step_words) * self.step_words, layout.total)
            if first < end:
                self._load(section, first, end, space, first, flags)
                self.loaded[place] = end
                flags = replace(flags, wait_load=False)

    def _window(self, strip: Strip, place: int, flags: Flags) -> None:
        """All rows of a strip."""
        number, space = self.part.arriving[place]
        section = self.stage.arriving[number]
        first = strip.rows[0] * section.layout.row // self.step_words * self.step_words
        end = min(-(-strip.rows[1] * section.layout.row // self.step_words) * self.step_words, section.layout.total)
        self.begun[place] = first
        self._load(section, first, end, space, 0, flags)

    def _load(self, section: Section, first: int, end: int, space: Space, to: int, flags: Flags) -> None:
        offset = self.source.offset + (section.offset + first) * self.vectors * 8
        words = (end - first) * self.vectors
        self._add(Load(ACTIVATIONS, self.source.region, offset, words, space.place(to), flags))

    def _store(self, strip: Strip) -> None:
        results = self.part.results
        if results is None or strip.results[0] == strip.results[1]:
            return
        word = self.part.words[0]
        section = next(one for one in self.stage.leaving if one.first <= word < one.first + one.layout.words)
        layout = result_layout(self.stage, self.part)
        base = section.offset * self.vectors * 8 + self.target.offset
        if section.layout.split:
            for row in range(*strip.results):
                to = section.layout.at(row, word=word - section.first)
                self._add(Store(self.target.region, base + to * self.vectors * 8, layout.size[1] * layout.st_x,
                                results.place(layout.at(row))))
            return
        end = layout.at(strip.results[1])
        if strip.results[1] < layout.size[0]:
            end = end // self.step_words * self.step_words
        if end > self.stored:
            self._add(Store(self.target.region, base + self.stored * self.vectors * 8, end - self.stored,
                            results.place(self.stored)))
            self.stored = end

    # -- layers -------------------------------------------------------------------------------------------

    def _compute(self, strip: Strip, places: Sequence[int]) -> None:
        """The sums of a strip, of the sections that lie in these places; of all where the map is in the banks."""
        stage, part = self.stage, self.part
        if stage.step.weights is None:
            self._pools(strip)
            return
        sections = {part.arriving[place][0]: place for place in places}
        for run in part.runs:
            word = stage.arrives.starts[run.group]
            for number, section in enumerate(stage.arriving):
                if not section.first <= word < section.first + section.layout.words:
                    continue
                if stage.source is not None:
                    self._layer(strip, run, section, stage.source, 0)
                elif number in sections:
                    place = sections[number]
                    self._layer(strip, run, section, part.arriving[place][1], self.begun[place])

    def _layer(self, strip: Strip, run: Run, section: Section, space: Space, begun: int) -> None:
        stage, step = self.stage, self.stage.step
        first, end = stage.arrives.starts[run.group], stage.arrives.starts[run.group + 1]
        window, held, layout = window_of(step, end - first), self.emission._image.held(step.layer, run), section.layout
        to, given = self._target(step.pool is not None)
        levels = step.planes // 4 if step.levels is None else step.levels.shape[1]
        for low, high in self._turns(strip.sums, given):
            y = low * step.stride - step.padding
            word = layout.at(y, -step.padding, first - section.first) - begun
            out = given.at(low, 0, run.sub // self.emission._subs + (0 if to[1] else self.part.words[0]))
            made = Layer(
                source=space.place(word), to=to[0].place(out), raw=step.levels is None, shift=step.shift, levels=levels,
                out_bits=1 if step.levels is None else step.planes, in_bits=step.in_bits, weight_bits=step.weight_bits,
                stride=step.stride, beta=step.beta, words=window.words, kernel=window.kernel,
                st_word=layout.st_word, st_kx=layout.st_x, st_ky=layout.row, st_plane=layout.st_plane,
                out_sub=run.sub % self.emission._subs, st_ox=step.stride * layout.st_x, st_oy=step.stride * layout.row,
                st_out=given.st_x, st_oplane=given.st_plane, out_size=(high - low, step.sums_size[1]),
                w_base=held.w_base, w_row=held.w_row, w_plane=held.w_plane, t_base=held.t_base,
                row_groups=-(-run.outputs // self.emission._elements), first=(y, -step.padding), in_size=step.size)
            if window.turned:
                made = replace(made, st_word=layout.st_x, st_kx=layout.st_word, st_ky=0, in_size=window.kernel)
            self._add(made)

    def _target(self, pooled: bool) -> tuple[tuple[Space, bool], Layout]:
        """Where a layer's results go; whether its words count from those of the slice; and their layout."""
        stage, part = self.stage, self.part
        words = part.words[1] - part.words[0]
        if pooled:
            assert part.sums is not None
            return (part.sums, True), Layout(stage.step.sums_size, stage.step.planes, words)
        if stage.target is not None:
            return (stage.target, False), stage.leaving[0].layout
        assert part.results is not None
        return (part.results, True), result_layout(stage, part)

    @staticmethod
    def _turns(rows: tuple[int, int], given: Layout) -> list[tuple[int, int]]:
        """Rows that one instruction can write: one at a time where there is a gap behind each."""
        if given.row == given.size[1] * given.st_x:
            return [rows] if rows[0] < rows[1] else []
        return [(row, row + 1) for row in range(*rows)]

    def _finish(self, strip: Strip) -> None:
        """What follows when the sums are there."""
        if self.stage.step.weights is not None and self.stage.step.pool is not None:
            part = self.part
            assert part.sums is not None
            layout = Layout(self.stage.step.sums_size, self.stage.step.planes, part.words[1] - part.words[0])
            self._pool(strip, layout, part.sums, (0, layout.words), 0)
        self._store(strip)

    def _pools(self, strip: Strip) -> None:
        """A pool alone."""
        stage, part = self.stage, self.part
        for number, section in enumerate(stage.arriving):
            low = max(part.words[0], section.first)
            high = min(part.words[1], section.first + section.layout.words)
            space = stage.source or dict(part.arriving).get(number)
            if low < high and space is not None:
                self._pool(strip, section.layout, space, (low - section.first, high - section.first),
                           low - part.words[0])

    def _pool(self, strip: Strip, layout: Layout, space: Space, words: tuple[int, int], to_word: int) -> None:
        step = self.stage.step
        assert step.pool is not None
        pool, pad = step.pool, step.pool.padding[0]
        to, given = self._target(False)
        for low, high in self._turns(strip.results, given):
            y = low * pool.stride - pad
            out = given.at(low, 0, to_word + (0 if to[1] else self.part.words[0]))
            self._add(Layer(
                source=space.place(layout.at(y, -pad, words[0], step.planes - 1)), to=to[0].place(out), pool=True,
                out_bits=step.planes, stride=pool.stride, words=step.planes, kernel=(pool.size, pool.size),
                st_word=-layout.st_plane, st_kx=layout.st_x, st_ky=layout.row, st_group=layout.st_word,
                st_ox=pool.stride * layout.st_x, st_oy=pool.stride * layout.row, st_out=given.st_x,
                st_oplane=given.st_plane, out_size=(high - low, step.out_size[1]), groups=words[1] - words[0],
                first=(y, -pad), in_size=layout.size))

    def _add(self, instruction: Instruction) -> None:
        self.emission.add(self.stage.step.layer, instruction)
