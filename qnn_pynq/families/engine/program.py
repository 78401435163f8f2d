"""Instructions of the engine, and the 64-bit words that they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Sequence, Tuple, Union

import numpy as np

from ...errors import UnsupportedNetworkError

__all__ = ["ACTIVATIONS", "IMAGE", "INPUT", "NO_RING", "OUTPUT", "SCRATCH", "THRESHOLDS", "WEIGHTS", "End", "Flags",
           "Instruction", "Layer", "Load", "Place", "Store", "encode", "length"]

WEIGHTS, THRESHOLDS, ACTIVATIONS = 0, 1, 2  # targets of a LOAD
IMAGE, INPUT, OUTPUT, SCRATCH = 0, 1, 2, 3  # regions of memory
NO_RING = 15
_ALIGN = 128  # bytes of an access to memory
_POINTERS = 1 << 12

_Fields = Sequence[Tuple[int, int]]  # value, bits: from bit 0 on


@dataclass(frozen=True)
class Flags:
    """When an instruction is executed, and what it waits for.

    Attributes
    ----------
    first, next : bool
        In the first group alone; a LOAD for the group behind this one.
    wait_load, wait_store, wait_drain : bool
        Loads, stores, results of earlier layers are complete before it starts.
    """

    first: bool = False
    next: bool = False
    wait_load: bool = False
    wait_store: bool = False
    wait_drain: bool = False

    def word(self, op: int) -> int:
        """Bits 15:0 of an instruction."""
        bits = (self.first, self.next, self.wait_load, self.wait_store, self.wait_drain)
        return op | sum(bool(bit) << 4 + place for place, bit in enumerate(bits))


class Place(NamedTuple):
    """Words of the banks: a pointer, and the ring of 2**ring words around it; none from 12 on."""

    pointer: int
    ring: int = NO_RING


@dataclass(frozen=True)
class End:
    """The group is over."""

    flags: Flags = Flags()


@dataclass(frozen=True)
class Load:
    """From memory: `words` of 64 bits, one for each element, cluster or bank in turn."""

    target: int
    region: int
    offset: int
    words: int
    to: Place
    flags: Flags = Flags()


@dataclass(frozen=True)
class Store:
    """To memory: `words` of each bank."""

    region: int
    offset: int
    words: int
    source: Place
    flags: Flags = Flags()


@dataclass(frozen=True)
class Layer:
    """A convolution (dense layers are one), or a pool; counts as they are.

    Strides are in words. `levels` are thresholds of a neuron, or nibbles of a raw sum.
    """

    source: Place
    to: Place
    pool: bool = False
    raw: bool = False
    shift: int = 0
    levels: int = 1
    out_bits: int = 1
    in_bits: int = 1
    weight_bits: int = 1
    stride: int = 1
    beta: int = 0
    pad: int = 0
    safe: int = 0
    words: int = 1
    kernel: tuple[int, int] = (1, 1)
    st_word: int = 0
    st_kx: int = 0
    st_ky: int = 0
    st_plane: int = 0
    st_group: int = 0
    out_sub: int = 0
    st_ox: int = 0
    st_oy: int = 0
    st_out: int = 0
    st_oplane: int = 0
    out_size: tuple[int, int] = (1, 1)
    w_base: int = 0
    w_row: int = 0
    w_plane: int = 0
    t_base: int = 0
    row_groups: int = 1
    groups: int = 1
    first: tuple[int, int] = (0, 0)
    in_size: tuple[int, int] = (1, 1)
    flags: Flags = field(default=Flags())

    @property
    def planes(self) -> int:
        """Planes of a result."""
        return 4 * self.levels if self.raw else self.out_bits

    @property
    def passes(self) -> int:
        """Pairs of a plane of the weights and one of the activations."""
        return 1 if self.pool else self.in_bits * self.weight_bits

    @property
    def taps(self) -> int:
        """Words of a pass."""
        return self.kernel[0] * self.kernel[1] * self.words

    @property
    def rows(self) -> int:
        """Row groups of the layer."""
        return self.out_size[0] * self.out_size[1] * self.groups * self.row_groups

    @property
    def cycles(self) -> int:
        """In which the array is fed."""
        return self.rows * self.passes * self.taps


Instruction = Union[End, Load, Store, Layer]
_OPS: dict[type, int] = {End: 1, Load: 2, Store: 3, Layer: 4}
_POOL = 5
_LENGTHS: dict[type, int] = {End: 1, Load: 2, Store: 2, Layer: 6}


def length(instruction: Instruction) -> int:
    """Words of a program."""
    return _LENGTHS[type(instruction)]


def encode(instructions: Sequence[Instruction]) -> np.ndarray:
    """uint64 words of a program.

    Raises
    ------
    UnsupportedNetworkError
        A value that its field does not hold.
    """
    words: list[int] = []
    for instruction in instructions:
        op = _POOL if isinstance(instruction, Layer) and instruction.pool else _OPS[type(instruction)]
        parts: list[_Fields]
        if isinstance(instruction, Load):
            parts = _load(instruction)
        elif isinstance(instruction, Store):
            parts = _store(instruction)
        elif isinstance(instruction, Layer):
            parts = _layer(instruction)
        else:
            parts = [()]
        head = [(instruction.flags.word(op), 16), *parts[0]]
        words += [_word(instruction, fields) for fields in (head, *parts[1:])]
    return np.array(words, np.uint64)


def _word(instruction: Instruction, fields: _Fields) -> int:
    word = place = 0
    for value, bits in fields:
        if not 0 <= value < 1 << bits:
            name = type(instruction).__name__.lower()
            raise UnsupportedNetworkError(f"a {name} instruction has {value} in a field of {bits} bits (bit {place} of "
                                          f"its word): expected 0 to {(1 << bits) - 1}; make the layer smaller")
        word |= int(value) << place
        place += bits
    return word


def _offset(offset: int) -> int:
    if offset % _ALIGN:
        raise UnsupportedNetworkError(f"offset {offset} of an access to memory: expected a multiple of {_ALIGN}")
    return offset


def _load(load: Load) -> list[_Fields]:
    return [[(load.target, 2), (load.region, 2), (load.to.pointer, 12), (_offset(load.offset), 32)],
            [(load.words - 1, 20), (0, 12), (load.to.ring, 4)]]


def _store(store: Store) -> list[_Fields]:
    return [[(0, 2), (store.region, 2), (store.source.pointer, 12), (_offset(store.offset), 32)],
            [(store.words - 1, 12), (0, 8), (0, 12), (store.source.ring, 4)]]


def _turned(stride: int) -> tuple[int, int]:
    """A stride, downwards ones too; pointers have 12 bits."""
    return (stride % _POINTERS if -_POINTERS < stride < _POINTERS else stride), 12


def _position(value: int) -> tuple[int, int]:
    """A place in a map, from -256 to 255."""
    return (value % 512 if -256 <= value < 256 else 512), 9


def _layer(q: Layer) -> list[_Fields]:
    return [
        [(q.raw, 1), (q.shift, 1), (q.levels - 1, 3 if q.raw else 4), *([(0, 1)] if q.raw else []), (q.out_bits - 1, 2),
         (q.in_bits - 1, 3), (q.weight_bits - 1, 3), (q.stride - 1, 2), (q.beta, 8), (q.pad, 8), (q.safe, 8),
         (q.words - 1, 8)],
        [(q.source.pointer, 12), (0, 12), (q.source.ring, 4), (q.kernel[1] - 1, 3), (0, 1),
         (q.to.pointer, 12), (0, 12), (q.to.ring, 4), (q.kernel[0] - 1, 3), (0, 1)],
        [_turned(q.st_word), _turned(q.st_kx), _turned(q.st_ky), _turned(q.st_plane), _turned(q.st_group),
         (q.out_sub, 4)],
        [_turned(q.st_ox), _turned(q.st_oy), _turned(q.st_out), _turned(q.st_oplane), (q.out_size[1] - 1, 8),
         (q.out_size[0] - 1, 8)],
        [(q.w_base, 11), (q.w_row, 11), (q.w_plane, 11), (q.t_base, 9), (q.row_groups - 1, 8), (q.groups - 1, 8)],
        [_position(q.first[1]), _position(q.first[0]), (q.in_size[1] - 1, 8), (q.in_size[0] - 1, 8)],
    ]
