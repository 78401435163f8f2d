"""Plans of multi-layer offload: from a network to loads, runs, and the moves of bits between them. Pure.

A map lies in one of two areas of shared memory, in one or more pieces; a run reads from one area and
writes to the other. A run gets its channels by address where they begin at a memory word of a piece and
nothing but zeros follows in their last tile; otherwise a pass of the processor gathers them first.
"""

from __future__ import annotations

from typing import Any, Iterable, NamedTuple, Sequence
from weakref import WeakKeyDictionary

from ...contracts.network import Network
from ...contracts.overlay import Overlay
from .plan_check import Step, check_steps

__all__ = ["Move", "Piece", "Plan", "Run", "Stage", "make_plan", "plan_once"]


class Piece(NamedTuple):
    """Channels `first` to `first + channels` of a map, pixel by pixel.

    `offset` and `nbytes` are those of one picture. The pictures of a batch lie one behind the other, each with
    `row` bytes for all pieces; or, where `row` is 0, a piece of all pictures before the next piece.
    Lanes below `clean` are real channels or zeros; what is above may be anything.
    """

    area: int
    offset: int
    nbytes: int
    row: int
    first: int
    channels: int
    size: int
    clean: int

    def at(self, image: int, pictures: int) -> int:
        """First byte in the area of a picture, in a batch of `pictures`."""
        return image * self.row + self.offset if self.row else pictures * self.offset + image * self.nbytes

    def end(self, pictures: int) -> int:
        """Bytes of the area up to the end of the last picture."""
        return self.at(pictures - 1, pictures) + self.nbytes


class Move(NamedTuple):
    """Bits of every pixel of a piece that go into every pixel of another one."""

    source: Piece
    source_bit: int
    target: Piece
    target_bit: int
    bits: int


class Run(NamedTuple):
    """One load of weights, and the run that uses them on every picture.

    `first` and `outputs` are output channels of the layer, `inputs` the channels of its group.
    The first input channel is `skip` bytes into the pixels of `source`. Cycles are lower bounds.
    """

    step: Step
    first: int
    outputs: int
    inputs: int
    load_kernel: int
    source: Piece
    skip: int
    target: Piece
    weights_at: int
    weight_words: int
    load_cycles: int
    run_cycles: int
    macs: int


class Stage(NamedTuple):
    """One layer: gather into `gathered` pieces where that is needed, then the runs."""

    step: Step
    gathered: tuple[Piece, ...]
    moves: tuple[Move, ...]
    runs: tuple[Run, ...]


class Plan(NamedTuple):
    """Everything that the driver does for one network.

    `order` is that of the circuit, each run with the number of its stage; a stage's moves come before its
    first run. `areas` are bytes of one picture in the two areas; `weight_bytes` those of all weight images
    together. What the network costs: `load_cycles` and `run_cycles` of the circuit; `put_bytes`,
    `gathered_bytes` and `taken_bytes` of the processor.
    """

    stages: tuple[Stage, ...]
    order: tuple[tuple[int, Run], ...]
    entry: tuple[Piece, ...]
    exit: tuple[Piece, ...]
    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]
    pixel_bytes: int
    bits: int
    areas: tuple[int, int]
    weight_bytes: int

    @property
    def runs(self) -> tuple[Run, ...]:
        """Runs of all stages, in the order of the circuit."""
        return tuple(run for _, run in self.order)

    @property
    def load_cycles(self) -> int:
        """Of all loads."""
        return sum(run.load_cycles for run in self.runs)

    @property
    def run_cycles(self) -> int:
        """Of all runs on one picture."""
        return sum(run.run_cycles for run in self.runs)

    @property
    def put_bytes(self) -> int:
        """Bytes that the processor writes for the input of one picture."""
        return sum(piece.size**2 * piece.clean * self.bits // 8 for piece in self.entry)

    @property
    def gathered_bytes(self) -> int:
        """Bytes that the processor writes between the layers of one picture."""
        return sum(p.size**2 * p.clean * self.bits // 8 for stage in self.stages for p in stage.gathered)

    @property
    def taken_bytes(self) -> int:
        """Bytes of one picture's result that the processor reads."""
        return sum(piece.nbytes for piece in self.exit)

    def area_bytes(self, pictures: int) -> tuple[int, int]:
        """Bytes of the two areas for a batch; a slice of the last pixel reaches over the end of its map."""
        return pictures * self.areas[0] + self.pixel_bytes, pictures * self.areas[1] + self.pixel_bytes


_last: WeakKeyDictionary[Network, tuple[Overlay, bool, Plan]] = WeakKeyDictionary()


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def make_plan(network: Any, overlay: Any, conservative: bool = False) -> Plan:
    """Plan a network for an overlay.

    Parameters
    ----------
    network : Network
    overlay : Overlay
        Of kind "qnn-mo".
    conservative : bool
        Loads with the layer's own kernel register, and a copied split and merge wherever upstream has one.
        Layers of the same number of groups, where each reads what the same group of the one before wrote,
        are upstream's split: all of them run for one part, then for the next, each with memory of its own.

    Raises
    ------
    UnsupportedNetworkError
        The circuit would not compute this network correctly.
    """
    return _Planner(overlay.geometry, conservative).plan(check_steps(network, overlay))


def plan_once(network: Network, overlay: Overlay, conservative: bool = False) -> Plan:
    """As `make_plan`, which is asked again only for another overlay or mode: a load splits before it configures."""
    found = _last.get(network)
    if found is None or found[:2] != (overlay, conservative):
        found = _last[network] = overlay, conservative, make_plan(network, overlay, conservative)
    return found[2]


class _Planner:
    def __init__(self, geometry: Any, conservative: bool) -> None:
        self.limits = geometry
        self.conservative = conservative
        self.bits = geometry["activation_bits"]
        self.pixel = self.bits * geometry["max_inputs"] // 8
        self.used = [0, 0]  # bytes of a picture, by area
        self.held = [0, 0]  # of these, what later parts of a split still need
        self.weights_at = 0

    def plan(self, steps: Sequence[Step]) -> Plan:
        first = steps[0]
        entry = pieces = self._entry(first)
        self._reserve(pieces)
        stages: list[Stage] = []
        splits: list[list[int]] = []  # stages that run part by part
        for number, step in enumerate(steps):
            gathered: tuple[Piece, ...] = ()
            moves: tuple[Move, ...] = ()
            slices = self._slices(step, pieces)
            if slices is not None and self._inside(steps, number):
                splits[-1].append(number)
            else:
                splits.append([number])
                self.held = [0, 0]
            if slices is None:
                gathered, moves = self._gather(step, pieces)
                self._reserve(gathered)
                slices = [(piece, 0) for piece in gathered]
            self._hold(piece for piece, _ in slices)
            runs = self._runs(step, slices)
            pieces = tuple(run.target for run in runs)
            self._hold(pieces)
            stages.append(Stage(step, gathered, moves, runs))
        order = tuple(
            (number, run) for split in splits for group in range(steps[split[0]].conv.groups) for number in split
            for run in stages[number].runs if run.first * steps[number].conv.groups // run.step.conv.outputs == group
        )
        last = steps[-1]
        return Plan(
            tuple(stages), order, entry, pieces, (first.size, first.size, first.conv.inputs),
            (last.out_size, last.out_size, last.conv.outputs), self.pixel, self.bits,
            (self.used[0], self.used[1]), self.weights_at,
        )

    def _inside(self, steps: Sequence[Step], number: int) -> bool:
        """Whether a layer without moves goes on in the split that the one before is in."""
        groups = steps[number].conv.groups
        return bool(self.conservative and number and groups > 1 and groups == steps[number - 1].conv.groups)

    def _hold(self, pieces: Iterable[Piece]) -> None:
        """What comes later in this split goes behind these."""
        for piece in pieces:
            self.held[piece.area] = max(self.held[piece.area], piece.offset + piece.nbytes)
        self.used = [max(pair) for pair in zip(self.used, self.held)]

    def _reserve(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            self.used[piece.area] = max(self.used[piece.area], piece.offset + piece.nbytes)

    def _row(
        self, area: int, size: int, parts: Sequence[tuple[int, int]], clean: int | None = None, entry: bool = False,
        start: int = 0,
    ) -> tuple[Piece, ...]:
        """Pieces (first, channels) one behind the other."""
        each = size**2 * self.pixel
        row = len(parts) * each if entry else 0
        return tuple(
            Piece(area, start + index * each, each, row, first, channels, size,
                  _up(channels, self.limits["simd"]) if clean is None else clean)
            for index, (first, channels) in enumerate(parts)
        )

    def _groups(self, step: Step) -> list[tuple[int, int]]:
        count = step.conv.inputs // step.conv.groups
        return [(group * count, count) for group in range(step.conv.groups)]

    def _entry(self, step: Step) -> tuple[Piece, ...]:
        """One piece, if every group can be read out of it; else a piece for each group."""
        inputs = step.conv.inputs
        if inputs <= self.limits["max_inputs"]:
            whole = self._row(0, step.size, [(0, inputs)], entry=True)
            if self.conservative or self._slices(step, whole) is not None:
                return whole
        return self._row(0, step.size, self._groups(step), entry=True)

    def _slices(self, step: Step, pieces: Sequence[Piece]) -> list[tuple[Piece, int]] | None:
        """(piece, channel in it) of every group, where all of them can be read in place.

        Groups are of one size: where each lies in one piece, and has whole tiles or its piece's end, all begin
        at a word.
        """
        found = []
        for first, count in self._groups(step):
            for piece in pieces:
                lane = first - piece.first
                if lane < 0 or lane + count > piece.channels:
                    continue
                split = count != piece.channels
                followed = count % self.limits["simd"] and lane + count != piece.channels
                if followed or (split and self.conservative):
                    return None
                found.append((piece, lane))
                break
            else:
                return None
        return found

    def _gather(self, step: Step, pieces: Sequence[Piece]) -> tuple[tuple[Piece, ...], tuple[Move, ...]]:
        targets = self._row(1 - pieces[0].area, step.size, self._groups(step))
        moves = []
        for target in targets:
            for piece in pieces:
                begin = max(target.first, piece.first)
                end = min(target.first + target.channels, piece.first + piece.channels)
                if begin < end:
                    moves.append(Move(piece, (begin - piece.first) * self.bits, target,
                                      (begin - target.first) * self.bits, (end - begin) * self.bits))
        return targets, tuple(moves)

    def _chunks(self, step: Step) -> list[tuple[int, int, int]]:
        """(group, first output, outputs) of every run."""
        group = step.conv.outputs // step.conv.groups
        count = -(-group // self.limits["max_outputs"])
        each = -(-group // count)
        if group % count:  # full rows of PEs, not the remainder that upstream loses
            each = min(self.limits["max_outputs"], _up(each, self.limits["pe"]))
        return [(g, g * group + at, min(each, group - at))
                for g in range(step.conv.groups) for at in range(0, group, each)]

    def _runs(self, step: Step, slices: Sequence[tuple[Piece, int]]) -> tuple[Run, ...]:
        chunks = self._chunks(step)
        area = 1 - slices[0][0].area
        targets = self._row(area, step.out_size, [chunk[1:] for chunk in chunks], self.limits["max_inputs"],
                            start=self.held[area])
        runs = []
        for (group, first, outputs), target in zip(chunks, targets):
            piece, lane = slices[group]
            runs.append(self._run(step, first, outputs, piece, lane, target))
        return tuple(runs)

    def _run(self, step: Step, first: int, outputs: int, piece: Piece, lane: int, target: Piece) -> Run:
        limits, kernel = self.limits, step.conv.kernel
        inputs = step.conv.inputs // step.conv.groups
        tiles = -(-inputs // limits["simd"]) * -(-outputs // limits["pe"])
        each = limits["max_inputs"] * limits["max_outputs"] // (limits["pe"] * limits["simd"])
        load = kernel
        if not self.conservative:
            load = next(k for k in range(1, kernel + 1) if each * k * k >= tiles * kernel**2)
        entries = limits["max_outputs"] // limits["pe"] * (limits["threshold_bits"] // limits["word_bits"])
        words = limits["pe"] // limits["memory_channels"] * (each * load * load + entries)
        pixel_words = self.pixel * 8 // limits["word_bits"]
        cycles = max(step.conv_size**2 * kernel**2 * tiles, step.size**2 * pixel_words,
                     step.out_size**2 * pixel_words)
        at = self.weights_at
        self.weights_at += words * limits["memory_channels"] * limits["word_bits"] // 8
        return Run(step, first, outputs, inputs, load, piece, lane * self.bits // 8, target, at, words, words, cycles,
                   step.conv_size**2 * kernel**2 * inputs * outputs)
