"""What plans of multi-layer offload consist of: pieces of maps in shared memory, moves, runs."""

from __future__ import annotations

from typing import NamedTuple

from .plan_check import Step

__all__ = ["Move", "Piece", "Plan", "Run", "Stage"]


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
