"""From layers to programs: what the engine runs for a network, or which of its limits is in the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, NoReturn, Sequence
from weakref import WeakKeyDictionary

import numpy as np

from ...contracts.driver import Split
from ...contracts.network import Network
from ...contracts.overlay import Overlay
from ...errors import UnsupportedNetworkError
from ...networks.dense import Dense
from ...networks.linear import Linear
from ...networks.maps import Conv
from .emission import Area, Emission, stage_bytes
from .hazards import load_early, settle_waits
from .image import Image
from .mapping import Step, Unfit, make_steps
from .memory import LANES, Lanes, Run, Section, lanes_of, place_inputs, place_runs
from .pace import Named, program_cycles
from .program import (
    IMAGE,
    INPUT,
    OUTPUT,
    SCRATCH,
    THRESHOLDS,
    WEIGHTS,
    End,
    Flags,
    Instruction,
    Layer,
    Load,
    Place,
    encode,
    length,
)
from .stages import Slice, Stage, make_stages
from .streaming import BATCH, stream

__all__ = ["Compiled", "Part", "compile_network", "compile_steps", "split_network"]


class Part(NamedTuple):
    """A program: some of the steps for all groups of a batch.

    Attributes
    ----------
    words : uint64 array
    instructions : tuple of Named
        What they are, with the network's layer that each is for.
    source, target : int
        Maps of `Compiled.maps` that it reads and writes.
    scratch : int
        Bytes of memory beside.
    image : int or None
        The weight image that it loads from by itself; None where all weights are loaded once.
    """

    words: np.ndarray
    instructions: tuple[Named, ...]
    source: int
    target: int
    scratch: int
    image: int | None

    @property
    def cycles(self) -> int:
        """In which the array is fed, for a group of pictures."""
        return sum(one.cycles for _, one in self.instructions if isinstance(one, Layer))


@dataclass(frozen=True, eq=False)
class Compiled:
    """What the engine runs for a network.

    Attributes
    ----------
    steps : tuple of Step
    arrives, leaves : Lanes
        What the host packs, and what it takes.
    arriving, leaving : tuple of Section
        The same in memory.
    parts : tuple of Part
        One behind the other for a batch.
    maps : tuple of int
        Bytes of a group of each map that a batch keeps in memory; the first is the input, the last the output.
    images : tuple of array
        Weights and thresholds, uint64.
    setup : Part or None
        Loads what stays of the first image, once.
    held : dict
        Words of the weights of an element, by layer.
    """

    steps: tuple[Step, ...]
    arrives: Lanes
    leaves: Lanes
    arriving: tuple[Section, ...]
    leaving: tuple[Section, ...]
    parts: tuple[Part, ...]
    maps: tuple[int, ...]
    images: tuple[np.ndarray, ...]
    setup: Part | None
    held: dict[int, int]

    @property
    def cycles(self) -> int:
        """In which the array is fed, for a group of pictures."""
        return sum(part.cycles for part in self.parts)


def compile_steps(steps: Sequence[Step], geometry: dict[str, int]) -> Compiled:
    """Programs for steps.

    Raises
    ------
    Unfit
        A limit of the engine is in the way.
    """
    made = _Compiler(tuple(steps), geometry, False)
    whole = made.image(0, len(steps))
    if whole.problem is None:
        return made.compile(whole)
    found: list[Compiled] = []
    problem: Unfit | None = None
    for ahead in (True, False):
        try:
            found.append(_Compiler(tuple(steps), geometry, ahead).compile(None))
        except Unfit as error:
            problem = problem or error
    if not found:
        assert problem is not None
        raise problem
    return min(found, key=lambda one: sum(program_cycles(part.instructions, geometry, BATCH) for part in one.parts))


class _Compiler:
    """Of steps to programs.

    Parameters
    ----------
    ahead : bool
        Weights that do not fit are loaded ahead of the layers, for each group of pictures; else the steps take turns:
        each program loads the weights of as many as fit, once for all groups of a batch.
    """

    def __init__(self, steps: tuple[Step, ...], geometry: dict[str, int], ahead: bool) -> None:
        self.steps, self.geometry, self.ahead = steps, geometry, ahead
        self._carry()
        self.images: list[Image] = []
        self.maps: list[int] = []
        self.parts: list[Part] = []
        self.kept: list[Load] | None = None

    def _carry(self) -> None:
        """Lanes of the maps between the steps, and the outputs of each."""
        first = self.steps[0]
        self.carried = [place_inputs(first.size, first.in_bits, first.inputs, first.groups)]
        self.runs: list[tuple[Run, ...]] = []
        elements = self.geometry["pe"]
        for number, step in enumerate(self.steps):
            if step.weights is None:
                self.runs.append(())
                self.carried.append(self.carried[-1]._replace(size=step.out_size))
                continue
            runs, starts = place_runs(step.outputs, step.groups, self._groups(number + 1), elements)
            self.runs.append(runs)
            self.carried.append(Lanes(step.out_size, step.planes, starts, lanes_of(runs, starts[-1], elements)))

    def _groups(self, number: int) -> int:
        """Groups of the channels that the step of this number, or the first convolution behind it, reads."""
        for step in self.steps[number:]:
            if step.weights is not None:
                return step.groups
        return 1

    def image(self, first: int, end: int) -> Image:
        """Weights and thresholds of some steps."""
        image = Image(self.geometry)
        for number in range(first, end):
            step = self.steps[number]
            if step.weights is not None:
                image.add(step, self.carried[number], self.runs[number])
        return image

    def compile(self, whole: Image | None) -> Compiled:
        """Programs of all steps; `whole`: the image of all, where it fits."""
        count = len(self.steps)
        if whole is not None:
            self.images.append(whole)
            self.kept = self._loads(whole, Flags())
        first, before = 0, None
        arriving: tuple[Section, ...] = ()
        while first < count:
            stages = self._next(first, before, whole)
            if before is None:
                arriving = stages[0].arriving
            first, before = first + len(stages), stages[-1]
        assert before is not None
        return Compiled(
            self.steps, self.carried[0], self.carried[-1], arriving, before.leaving, tuple(self.parts),
            tuple(self.maps), tuple(image.words()[0] for image in self.images),
            self._setup(self.kept) if self.kept else None,
            {layer: words for image in self.images for layer, words in image.held_words.items()})

    def _next(self, first: int, before: Stage | None, whole: Image | None) -> tuple[Stage, ...]:
        """Programs for as many steps as go into one, or for a single step."""
        problem: Unfit | None = None
        for end in range(len(self.steps), first, -1):
            try:
                image = whole or self.image(first, end)
                if image.problem is not None and not self.ahead and end > first + 1:
                    raise image.problem
                stages = make_stages(self.steps[first:end], self.carried[first : end + 1], self.runs[first:end],
                                     self.geometry, before)
                number = None if whole else len(self.images)
                pieces = self._pieces(stages, image, number)
            except Unfit as error:
                problem = error
                continue
            if pieces is None:
                continue
            if not whole:
                self.images.append(image)
            self.parts += pieces
            if before is None:
                self.maps.append(stage_bytes(stages[0].arriving, self.geometry["vectors"]))
            self.maps.append(stage_bytes(stages[-1].leaving, self.geometry["vectors"]))
            return stages
        most = self.geometry["program_words"]
        raise problem or Unfit(f"it does not fit in the {most} words of a program", self.steps[first].layer)

    def _pieces(self, stages: tuple[Stage, ...], image: Image, number: int | None) -> list[Part] | None:
        """Programs of stages: one, or several for a single stage; None where that does not do."""
        source = max(0, len(self.maps) - 1)
        try:
            once = len(stages) == len(self.steps)
            return [self._part([(stage, stage.slices) for stage in stages], image, number, source, once)]
        except _TooLong:
            if len(stages) > 1:
                return None
        stage = stages[0]
        found: list[Part] = []
        first = 0
        while first < len(stage.slices):
            part, low, high = None, first + 1, len(stage.slices)
            while low <= high:  # as many slices as fit
                end = (low + high + 1) // 2
                try:
                    part, low = self._part([(stage, stage.slices[first:end])], image, number, source), end + 1
                except _TooLong:
                    high = end - 1
            if part is None:
                return None
            found.append(part)
            first = high
        return found

    def _part(self, stages: Sequence[tuple[Stage, tuple[Slice, ...]]], image: Image, number: int | None,
              source: int, once: bool = False) -> Part:
        """A program; `once`: of all steps, so that what stays of the weights needs to be loaded only once."""
        emission = Emission(self.geometry, image)
        area, used = Area(INPUT), 0
        for place, (stage, slices) in enumerate(stages):
            to = Area(OUTPUT)
            if place + 1 < len(stages):
                to = Area(SCRATCH, used)
                if stage.target is None:
                    used += stage_bytes(stage.leaving, self.geometry["vectors"])
            emission.stage(stage, slices, area, to)
            area = to
        most = self.geometry["program_words"] - length(End())
        if sum(length(one) for _, one in emission.found) > most:
            raise _TooLong
        program = [Named(*one) for one in load_early(emission.found, self.geometry)]
        kept: list[Load] | None = None
        if number is not None:
            loads = self._loads(image, Flags())
            if image.problem is not None:
                streamed = stream(program, image, self.geometry)
                if streamed is None:
                    raise _TooLong
                program, loads = streamed
            if once:
                kept = loads
            else:
                program = [*(Named(None, replace(load, flags=Flags(first=True))) for load in loads), *program]
        if sum(length(one) for _, one in program) > most:
            raise _TooLong
        layers = [*(layer for layer, _ in program), None]
        settled = settle_waits([*(one for _, one in program), End()], self.geometry)
        self.kept = kept or self.kept
        return Part(encode(settled), tuple(map(Named, layers, settled)), source, source + 1, used, number)

    def _loads(self, image: Image, flags: Flags) -> list[Load]:
        words, offset = image.words()
        loads = [Load(WEIGHTS, IMAGE, 0, image.weight_words * self.geometry["pe"], Place(0), flags)]
        if image.threshold_words:
            loads.append(Load(THRESHOLDS, IMAGE, offset, words.size - offset // 8, Place(0), flags))
        return loads

    def _setup(self, loads: Sequence[Load]) -> Part:
        instructions: list[Instruction] = [*loads, End()]
        return Part(encode(instructions), tuple(Named(None, one) for one in instructions), 0, 0, 0, None)


class _TooLong(Exception):
    """A program that does not fit."""


# -- networks ---------------------------------------------------------------------------------------------

_last: WeakKeyDictionary[Network, tuple[Overlay, Split, Compiled]] = WeakKeyDictionary()


def compile_network(network: Network, overlay: Overlay) -> tuple[Split, Compiled]:
    """Which layers the engine takes, and their programs; asked again only for another overlay.

    Raises
    ------
    UnsupportedNetworkError
        Names layer, value and limit.
    """
    found = _last.get(network)
    if found is None or found[0] is not overlay and found[0] != overlay:
        found = _last[network] = (overlay, *split_network(network, overlay))
    return found[1:]


def split_network(network: Network, overlay: Overlay) -> tuple[Split, Compiled]:
    """As `compile_network`, anew."""
    layers, signals = network.layers, network.signals
    geometry = overlay.geometry

    def refuse(what: str) -> NoReturn:
        raise UnsupportedNetworkError(f"network {network.name} on overlay {overlay.name}: {what}")

    starts = [index for index, layer in enumerate(layers) if isinstance(layer, (Conv, Dense)) and _whole_numbers(layer)]
    body = sum(not layer.tail for layer in layers)
    if not starts:
        refuse("no dense layer or convolution with integer weights: expected at least one; board=\"cpu\" computes such "
               "networks")
    end_signal = signals[len(layers)]
    if end_signal.coding == "ternary" or end_signal.coding == "binary" and end_signal.values > LANES:
        refuse(f"layer {len(layers) - 1}: {end_signal.values} {end_signal.coding} values at the end: expected at most "
               f"{LANES} bits, sums, codes or scores")
    # A first layer on pixels is left to the processor where the engine does not compute it.
    left = layers[starts[0]].weight_bits != 1
    problem: Unfit | None = None
    for start in starts[:2] if left else starts[:1]:
        for end in range(len(layers), max(body, start + 1) - 1, -1):
            if any(not isinstance(layer, Linear) for layer in layers[body:end]):
                continue
            try:
                steps = make_steps(layers[start:end], signals[start : end + 1], start, geometry["accumulator_bits"])
                compiled = compile_steps(steps, geometry)
            except Unfit as error:
                problem = error
                continue
            return Split(layers[:start], layers[start:end], layers[end:]), compiled
    assert problem is not None
    where = "" if problem.layer is None else f"layer {problem.layer}: "
    refuse(where + str(problem))
    return None


def _whole_numbers(layer: object) -> bool:
    return np.asarray(getattr(layer, "weights", 0.0)).dtype.kind in "iu"
