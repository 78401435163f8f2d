"""Words of a program, as the engine's sequencer takes them apart: instructions, or what is wrong with them."""

from __future__ import annotations

from typing import NamedTuple, Sequence, Union

__all__ = ["ACTIVATIONS", "THRESHOLDS", "WEIGHTS", "BadWord", "End", "Flags", "Instruction", "Layer", "Load", "Program",
           "Ring", "Store"]

_END, _LOAD, _STORE, _LAYER, _POOL = 1, 2, 3, 4, 5
_LENGTHS = {_END: 1, _LOAD: 2, _STORE: 2, _LAYER: 6, _POOL: 6}
WEIGHTS, THRESHOLDS, ACTIVATIONS = 0, 1, 2  # targets of a LOAD
_MOST_NIBBLES = 8  # of a raw sum
_MOST_THRESHOLDS = 15


class BadWord(Exception):
    """The instruction at a word of the program is none."""


class Flags(NamedTuple):
    """What all instructions have: when they are executed, and what they wait for."""

    first: bool
    next: bool
    wait_load: bool
    wait_store: bool
    wait_drain: bool


class Ring(NamedTuple):
    """Addresses of a bank: from `pointer`, its bits `alt` turned round in odd groups, in a ring of 2**bits words."""

    pointer: int
    alt: int
    bits: int

    def base(self, group: int) -> int:
        return self.pointer ^ self.alt if group & 1 else self.pointer


class End(NamedTuple):
    word: int
    flags: Flags


class Load(NamedTuple):
    word: int
    flags: Flags
    target: int
    region: int
    offset: int
    words: int
    to: Ring


class Store(NamedTuple):
    word: int
    flags: Flags
    region: int
    offset: int
    words: int  # of a bank
    source: Ring


class Layer(NamedTuple):
    """LAYER and POOL; counts as they are, not less one."""

    word: int
    flags: Flags
    pool: bool
    raw: bool
    shift: int
    thresholds: int  # raw: nibbles
    out_bits: int
    planes: int
    weight_planes: int
    stride: int
    beta: int
    pad: int
    safe: int
    words: int
    source: Ring
    kx: int
    to: Ring
    ky: int
    st_word: int
    st_kx: int
    st_ky: int
    st_plane: int
    st_group: int
    out_sub: int
    st_ox: int
    st_oy: int
    st_out: int
    st_oplane: int
    ox: int
    oy: int
    w_base: int
    w_row: int
    w_plane: int
    t_base: int
    row_groups: int
    groups: int
    ix: int
    iy: int
    width: int
    height: int

    @property
    def taps(self) -> int:
        """Words of one pass over a window."""
        return self.ky * self.kx * self.words

    @property
    def passes(self) -> int:
        """Pairs of a weight plane and an activation plane."""
        return self.planes * self.weight_planes

    @property
    def rows(self) -> int:
        """Row groups of the whole layer."""
        return self.oy * self.ox * self.groups * self.row_groups


Instruction = Union[End, Load, Store, Layer]


class Program:
    """The program memory, instruction by instruction; what was taken apart once is kept.

    Parameters
    ----------
    words : sequence of int
        64 bits each.
    """

    def __init__(self, words: Sequence[int]) -> None:
        self._words = list(words)
        self.size = len(self._words)
        self._known: dict[int, Instruction] = {}

    @staticmethod
    def length(instruction: Instruction) -> int:
        if isinstance(instruction, Layer):
            return 6
        return 1 if isinstance(instruction, End) else 2

    def at(self, word: int) -> Instruction:
        """BadWord where there is no instruction."""
        found = self._known.get(word)
        if found is None:
            found = self._known[word] = self._decode(word)
        return found

    def _decode(self, word: int) -> Instruction:
        if word >= len(self._words):
            raise BadWord
        head = self._words[word]
        op = head & 15
        length = _LENGTHS.get(op)
        if length is None or _bits(head, 15, 9) or word + length > len(self._words):
            raise BadWord
        flags = Flags(*(bool(head >> bit & 1) for bit in range(4, 9)))
        if flags.next and op != _LOAD:
            raise BadWord
        body = self._words[word : word + length]
        if op == _END:
            if flags.first:
                raise BadWord
            return End(word, flags)
        if op == _LOAD:
            return _load(word, flags, body)
        if op == _STORE:
            return _store(word, flags, body)
        return _layer(word, flags, op == _POOL, body)


def _bits(value: int, high: int, low: int) -> int:
    return value >> low & ((1 << high - low + 1) - 1)


def _load(word: int, flags: Flags, body: Sequence[int]) -> Load:
    head, tail = body
    target = _bits(head, 17, 16)
    if target > ACTIVATIONS or _bits(tail, 63, 36):
        raise BadWord
    ring = Ring(_bits(head, 31, 20), _bits(tail, 31, 20), _bits(tail, 35, 32))
    return Load(word, flags, target, _bits(head, 19, 18), _bits(head, 63, 32), _bits(tail, 19, 0) + 1, ring)


def _store(word: int, flags: Flags, body: Sequence[int]) -> Store:
    head, tail = body
    if _bits(head, 17, 16) or _bits(tail, 19, 12) or _bits(tail, 63, 36):
        raise BadWord
    ring = Ring(_bits(head, 31, 20), _bits(tail, 31, 20), _bits(tail, 35, 32))
    return Store(word, flags, _bits(head, 19, 18), _bits(head, 63, 32), _bits(tail, 11, 0) + 1, ring)


def _layer(word: int, flags: Flags, pool: bool, q: Sequence[int]) -> Layer:
    if _bits(q[1], 31, 31) or _bits(q[1], 63, 63) or _bits(q[4], 63, 58) or _bits(q[5], 63, 34):
        raise BadWord
    layer = Layer(
        word, flags, pool,
        raw=bool(_bits(q[0], 16, 16)), shift=_bits(q[0], 17, 17), thresholds=_bits(q[0], 21, 18) + 1,
        out_bits=_bits(q[0], 23, 22) + 1, planes=_bits(q[0], 26, 24) + 1, weight_planes=_bits(q[0], 29, 27) + 1,
        stride=_bits(q[0], 31, 30) + 1, beta=_bits(q[0], 39, 32), pad=_bits(q[0], 47, 40), safe=_bits(q[0], 55, 48),
        words=_bits(q[0], 63, 56) + 1,
        source=Ring(_bits(q[1], 11, 0), _bits(q[1], 23, 12), _bits(q[1], 27, 24)), kx=_bits(q[1], 30, 28) + 1,
        to=Ring(_bits(q[1], 43, 32), _bits(q[1], 55, 44), _bits(q[1], 59, 56)), ky=_bits(q[1], 62, 60) + 1,
        st_word=_bits(q[2], 11, 0), st_kx=_bits(q[2], 23, 12), st_ky=_bits(q[2], 35, 24), st_plane=_bits(q[2], 47, 36),
        st_group=_bits(q[2], 59, 48), out_sub=_bits(q[2], 63, 60),
        st_ox=_bits(q[3], 11, 0), st_oy=_bits(q[3], 23, 12), st_out=_bits(q[3], 35, 24), st_oplane=_bits(q[3], 47, 36),
        ox=_bits(q[3], 55, 48) + 1, oy=_bits(q[3], 63, 56) + 1,
        w_base=_bits(q[4], 10, 0), w_row=_bits(q[4], 21, 11), w_plane=_bits(q[4], 32, 22), t_base=_bits(q[4], 41, 33),
        row_groups=_bits(q[4], 49, 42) + 1, groups=_bits(q[4], 57, 50) + 1,
        ix=_bits(q[5], 8, 0), iy=_bits(q[5], 17, 9), width=_bits(q[5], 25, 18) + 1, height=_bits(q[5], 33, 26) + 1,
    )
    if layer.thresholds > (_MOST_NIBBLES if layer.raw else _MOST_THRESHOLDS):
        raise BadWord
    if pool and (layer.raw or layer.planes > 1 or layer.weight_planes > 1 or layer.row_groups > 1
                 or layer.words != layer.out_bits):
        raise BadWord
    return layer
