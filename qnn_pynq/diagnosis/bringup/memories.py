"""Patterns through every block RAM of the engine.

No memory can be read by registers. Banks come back by STORE. Weights are sums: with one lane of an activation
plane at 1 the sum's bit of that plane is one bit of a weight. A threshold T is what makes a sum of T another code
than a sum of T - 1. Program words are what their instructions do.
"""

from __future__ import annotations

from typing import Iterator

import numpy as np

from ...families.engine.program import (
    ACTIVATIONS,
    INPUT,
    OUTPUT,
    THRESHOLDS,
    WEIGHTS,
    Flags,
    Instruction,
    Layer,
    Load,
    Place,
    Store,
)
from .bench import Bench
from .hour import FAILED, OK, Finding, Hour
from .patterns import PATTERNS, Wrong, compare, fill

__all__ = ["banks", "banks_of_the_array", "thresholds", "weights"]

_LANES = 64
_PLANES = 8
_OUT = 16  # first word of results in a bank; activations lie before them
_MOST_ROWS = 256  # row groups of a layer
_WIDTH = 64  # pixels of a row that a pool copies

# Sums that can be anything: D = u . v - S, where v is 1 in one lane and 255 in 33, so that u . v reaches every number
# below 255 * 255 * 33, and one more lane makes the difference between T and T - 1.
_LARGE = 33
_LOWER, _UPPER = 62, 63  # lanes: a weight of 1 and of 0
_BETA = 125
_OFFSET = _BETA * (1 + 255 * _LARGE + 1)
_THREE = 3  # thresholds of a word
_BITS = 21
_BIT_OF_DOWN = 63


class _Patterns:
    """What the patterns of a step found."""

    def __init__(self, hour: Hour, what: str, steps: int = 1) -> None:
        self._hour, self._what, self._done, self._all = hour, what, 0, steps * len(PATTERNS)
        self._wrong: dict[str, Wrong] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(PATTERNS)

    def step(self) -> None:
        self._done += 1
        self._hour.tell(self._done, self._all)

    def look(self, name: str, expected: np.ndarray, found: np.ndarray) -> None:
        wrong = compare(self._what, name, expected, found)
        if wrong is not None:
            self._wrong[name] = wrong

    def finding(self, covers: str) -> Finding:
        if self._wrong:
            worst = max(wrong.bits for wrong in self._wrong.values())
            shown = [text for wrong in self._wrong.values() for text in wrong.first]
            details = {name: wrong._asdict() for name, wrong in self._wrong.items()}
            return Finding(FAILED, f"up to {worst} bits wrong, in {len(self._wrong)} of {len(PATTERNS)} patterns; "
                                   + "; ".join(shown[:3]), details)
        return Finding(OK, f"{covers}; {len(PATTERNS)} patterns, no bit wrong", {"patterns": list(PATTERNS)})


# -- banks ------------------------------------------------------------------------------------------------


def banks(hour: Hour) -> Finding:
    """All words by LOAD and STORE."""
    bench = hour.bench()
    count, words = bench.geometry["vectors"], bench.geometry["bank_words"]
    patterns = _Patterns(hour, "bank")
    program: list[Instruction] = [
        Load(ACTIVATIONS, INPUT, 0, count * words, Place(0)),
        Store(OUTPUT, 0, words, Place(0), Flags(wait_load=True)),
    ]
    for name in patterns:
        wanted = fill(name, count, words)
        ran = bench.run(program, wanted.T, output=count * words)
        patterns.look(name, wanted, ran.output.reshape(words, count).T)
        patterns.step()
    return patterns.finding(f"all {count} x {words} x 64 bits of the banks, and all 512 words of the loader's and of "
                            "the storer's buffer")


def banks_of_the_array(hour: Hour) -> Finding:
    """Half of the words to the other half by a pool of one pixel, which only copies; then the other way round."""
    bench = hour.bench()
    count, words = bench.geometry["vectors"], bench.geometry["bank_words"]
    half = words // 2
    size = half // _WIDTH, _WIDTH
    patterns = _Patterns(hour, "bank", 2)
    for name in patterns:
        content = fill(name, count, half)
        found = np.zeros((count, words), np.uint64)
        for source, to in ((0, half), (half, 0)):
            copy = Layer(Place(source), Place(to), pool=True, st_ox=1, st_oy=_WIDTH, st_out=1, out_size=size,
                         in_size=size, flags=Flags(wait_load=True))
            program: list[Instruction] = [
                Load(ACTIVATIONS, INPUT, 0, count * half, Place(source)),
                copy,
                Store(OUTPUT, 0, half, Place(to), Flags(wait_drain=True)),
            ]
            ran = bench.run(program, content.T, output=count * half)
            found[:, to : to + half] = ran.output.reshape(half, count).T
            patterns.step()
        patterns.look(name, np.concatenate([content, content], axis=1), found)
    return patterns.finding(f"all {count} x {words} x 64 bits of the banks as the array reads and writes them")


# -- weights ----------------------------------------------------------------------------------------------


def weights(hour: Hour) -> Finding:
    """Every bit as a bit of a sum: eight lanes of each bank at a time."""
    bench = hour.bench()
    elements, words = bench.geometry["pe"], bench.geometry["weight_words"]
    patterns = _Patterns(hour, "element")
    for name in patterns:
        wanted = fill(name, elements, words)
        patterns.look(name, wanted, _weights(bench, wanted))
        patterns.step()
    return patterns.finding(f"all {elements} x {words} x 64 bits of the weights, by way of the sums of every element")


def _weights(bench: Bench, content: np.ndarray) -> np.ndarray:
    """Weights as the array shows them, after they were loaded."""
    elements, words = content.shape
    vectors = bench.geometry["vectors"]
    lanes = _PLANES * vectors  # of a pass
    passes = -(-_LANES // lanes)
    room = (bench.geometry["bank_words"] - _OUT) // _PLANES * _LANES // elements
    most = min(_MOST_ROWS, room)
    program: list[Instruction] = [Load(WEIGHTS, INPUT, 0, elements * words, Place(0))]
    at = _aligned(elements * words)
    shown = _one_hot(passes, vectors)
    data = np.zeros(at + passes * _OUT * vectors, np.uint64)
    data[: elements * words] = content.T.reshape(-1)
    blocks = []
    output = 0
    for number in range(passes):
        start = at + number * _OUT * vectors
        data[start : start + _PLANES * vectors] = shown[number].reshape(-1)
        program.append(Load(ACTIVATIONS, INPUT, 8 * start, _PLANES * vectors, Place(0)))
        for first in range(0, words, most):
            rows = min(most, words - first)
            plane = -(-rows * elements // _LANES)
            program.append(Layer(Place(0), Place(_OUT), raw=True, levels=2, in_bits=_PLANES, st_plane=1,
                                 st_oplane=plane, w_base=first, w_row=1, row_groups=rows,
                                 flags=Flags(wait_load=True, wait_store=True)))
            program.append(Store(OUTPUT, 8 * output, _PLANES * plane, Place(_OUT)))
            blocks.append((number, first, rows, plane, output))
            output += _aligned(_PLANES * plane * vectors)
    ran = bench.run(program, data, output=output).output
    bits = np.zeros((elements, words, passes * lanes), np.uint8)
    for number, first, rows, plane, start in blocks:
        block = ran[start : start + _PLANES * plane * vectors].reshape(_PLANES, plane, vectors)
        sums = _unpack(block.transpose(0, 2, 1), elements)[:, :, :rows]  # plane of the sum, bank, row group, element
        for bank in range(vectors):
            lane = number * lanes + bank * _PLANES
            bits[:, first : first + rows, lane : lane + _PLANES] = sums[:, bank].transpose(2, 1, 0)
    packed = np.packbits(bits[:, :, :_LANES], axis=2, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").reshape(elements, words).astype(np.uint64)


def _one_hot(passes: int, vectors: int) -> np.ndarray:
    """uint64 (passes, planes, vectors): plane j of bank v has one lane of its own."""
    lanes = np.arange(passes * vectors * _PLANES).reshape(passes, vectors, _PLANES).transpose(0, 2, 1)
    words = np.zeros(lanes.shape, np.uint64)
    there = lanes < _LANES
    words[there] = np.uint64(1) << lanes[there].astype(np.uint64)
    return words


def _unpack(words: np.ndarray, elements: int) -> np.ndarray:
    """Bits of uint64 (..., words) as (..., row groups, elements)."""
    flat = np.ascontiguousarray(words).astype("<u8", copy=False).view(np.uint8)
    bits = np.unpackbits(flat, axis=-1, bitorder="little")
    return bits.reshape(*bits.shape[:-1], -1, elements)


def _aligned(words: int) -> int:
    """Words up to the next place where a transfer may begin."""
    return -(-words // 16) * 16


# -- thresholds -------------------------------------------------------------------------------------------


def thresholds(hour: Hour) -> Finding:
    """Every threshold beside a sum of its value and one less; the direction shows in each code."""
    bench = hour.bench()
    clusters, words = bench.geometry["pe"] // 4, bench.geometry["threshold_words"] // 4 * 4
    patterns = _Patterns(hour, "cluster", _THREE)
    for name in patterns:
        content = fill(name, clusters, words)
        wrong = np.zeros((clusters, words), np.uint64)
        for slot in range(_THREE):
            wrong |= _thresholds(bench, content, slot)
            patterns.step()
        patterns.look(name, content, content ^ wrong)
    rest = bench.geometry["threshold_words"] - words
    return patterns.finding(f"{clusters} x {words} words of thresholds: the three of each in any order, and its "
                            "direction" + (f"; {rest} words were not looked at" if rest else ""))


def _thresholds(bench: Bench, content: np.ndarray, slot: int) -> np.ndarray:
    """The field of `slot` where a code is wrong, 0 elsewhere: uint64 as `content`."""
    clusters, words = content.shape
    elements, vectors = 4 * clusters, bench.geometry["vectors"]
    values = _values(content)
    rows = words // 4
    # (row groups, elements, thresholds): element 4c + q of row group g has the words 4g + q of cluster c.
    own = values.reshape(clusters, rows, 4, _THREE).transpose(1, 0, 2, 3).reshape(rows, elements, _THREE)
    down = (content >> np.uint64(_BIT_OF_DOWN)).astype(np.int64)
    down = down.reshape(clusters, rows, 4).transpose(1, 0, 2).reshape(rows, elements)
    wrong = np.zeros((rows, elements), bool)
    turns = (0,) if vectors > 1 else (0, 1)
    most = min(_MOST_ROWS, bench.geometry["weight_words"] // _PLANES)
    for turn in turns:
        lower = (np.arange(vectors) + turn) % 2  # banks whose sum is one less
        for first in range(0, rows, most):
            part = slice(first, min(first + most, rows))
            codes = _codes(bench, content, own[part, :, slot], lower, first)
            sums = own[part, :, slot][..., None] - lower
            passed = sums[:, :, None, :] >= own[part][..., None]
            wanted = (passed ^ down[part][:, :, None, None].astype(bool)).sum(axis=2)
            wrong[part] |= (codes != wanted).any(axis=2)
    field = np.uint64(((1 << _BITS) - 1) << _BITS * slot)
    placed = wrong.reshape(rows, clusters, 4).transpose(1, 0, 2).reshape(clusters, words)
    return np.where(placed, field, np.uint64(0))


def _values(content: np.ndarray) -> np.ndarray:
    """The thresholds of words: int64 (..., 3)."""
    shifts = np.arange(_THREE, dtype=np.uint64) * np.uint64(_BITS)
    fields = (content[..., None] >> shifts & np.uint64((1 << _BITS) - 1)).astype(np.int64)
    return fields - ((fields >> _BITS - 1) << _BITS)


def _codes(bench: Bench, content: np.ndarray, sums: np.ndarray, lower: np.ndarray, first: int) -> np.ndarray:
    """Codes (rows, elements, banks) of row groups from `first` on, for sums (rows, elements) less `lower` of a bank."""
    clusters, words = content.shape
    rows, elements = sums.shape
    vectors = len(lower)
    pieces = [content.T, _weights_of(sums), _activations(lower)]
    starts = np.cumsum([0] + [_aligned(piece.size) for piece in pieces])
    data = np.zeros(int(starts[-1]), np.uint64)
    for start, piece in zip(starts.tolist(), pieces):
        data[start : start + piece.size] = piece.reshape(-1)
    plane = -(-rows * elements // _LANES)
    program: list[Instruction] = [
        Load(THRESHOLDS, INPUT, 0, clusters * words, Place(0)),
        Load(WEIGHTS, INPUT, 8 * int(starts[1]), pieces[1].size, Place(0)),
        Load(ACTIVATIONS, INPUT, 8 * int(starts[2]), pieces[2].size, Place(0)),
        Layer(Place(0), Place(_OUT), levels=_THREE, out_bits=2, in_bits=_PLANES, weight_bits=_PLANES, beta=_BETA,
              st_plane=1, st_oplane=plane, w_row=_PLANES, w_plane=1, t_base=4 * first, row_groups=rows,
              flags=Flags(wait_load=True)),
        Store(OUTPUT, 0, 2 * plane, Place(_OUT)),
    ]
    ran = bench.run(program, data, output=2 * plane * vectors).output.reshape(2, plane, vectors)
    bits = _unpack(ran.transpose(0, 2, 1), elements)[:, :, :rows].astype(np.int64)  # plane, bank, row group, element
    return (bits[0] + 2 * bits[1]).transpose(1, 2, 0)


def _weights_of(sums: np.ndarray) -> np.ndarray:
    """uint64 (words, elements): eight planes of weights for each row group that give these sums."""
    rows, elements = sums.shape
    rest = sums + _OFFSET - 1
    values = np.zeros((rows, elements, _LANES), np.uint8)
    values[..., 0] = rest % 255
    parts = rest // 255
    for lane in range(1, 1 + _LARGE):
        values[..., lane] = np.clip(parts - 255 * (lane - 1), 0, 255)
    values[..., _LOWER], values[..., _UPPER] = 1, 0
    planes = values[:, None] >> np.arange(_PLANES, dtype=np.uint8)[:, None, None] & 1
    packed = np.packbits(planes.astype(np.uint8), axis=3, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").reshape(rows * _PLANES, elements).astype(np.uint64)


def _activations(lower: np.ndarray) -> np.ndarray:
    """uint64 (planes, banks)."""
    values = np.zeros((len(lower), _LANES), np.uint8)
    values[:, 0] = 1
    values[:, 1 : 1 + _LARGE] = 255
    values[:, _LOWER], values[:, _UPPER] = 1 - lower, lower
    planes = values[None] >> np.arange(_PLANES, dtype=np.uint8)[:, None, None] & 1
    packed = np.packbits(planes.astype(np.uint8), axis=2, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").reshape(_PLANES, len(lower)).astype(np.uint64)
