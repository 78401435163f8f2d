"""What LAYER and POOL make of the banks, in numpy: all pixels, pictures and rows of a layer at once.

A layer reads banks while it writes them. Where it reads no word that it has written itself, the order does not
matter and all of it is computed first. Where it does, what the circuit reads depends on how far its pipeline is, which
nobody promises: here each row group is written before the next one is computed. Results of the layers before
always lie in the banks, whatever `safe` says: a program that says too much of it reads what is not defined.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Iterable

import numpy as np

from .twin_decode import Layer, Ring
from .twin_memories import POINTERS, Memories, in_ring

__all__ = ["Array"]

_LANES = 64
_SOME = 1 << 22  # elements of the largest table that is made at once
_TAPS = 1 << 9  # words of a window that are added up at once
_KEPT = 1 << 26  # elements of prepared weights that are kept
_ALONE = 1 << 18  # products up to which one thread does it
_EXACT = 1 << 24  # sums below are exact in float32
_WEIGHT_SPACE, _THRESHOLD_SPACE = 1 << 11, 1 << 9  # where addresses start again


class Array:
    """The elements, clusters and their drain.

    Parameters
    ----------
    geometry : dict
        Of the overlay.
    memories : Memories
    """

    def __init__(self, geometry: Any, memories: Memories) -> None:
        self._memories = memories
        self._pe = geometry["pe"]
        self._bits = geometry["accumulator_bits"]
        self._subs = _LANES // self._pe
        self._version = memories.version
        self._weights: OrderedDict[Any, np.ndarray] = OrderedDict()
        self._entries: dict[Any, tuple[np.ndarray, np.ndarray]] = {}

    def run(self, layer: Layer, group: int) -> None:
        """Compute a layer of this group of pictures: banks to banks."""
        if self._version != self._memories.version:
            self._weights.clear()
            self._entries.clear()
            self._version = self._memories.version
        pixels = layer.oy * layer.ox
        step = self._pixels_at_once(layer)
        if self._disturbs(layer, group):
            for pixel in range(pixels):
                for part in range(layer.groups):
                    for row in range(layer.row_groups):
                        here = np.array([pixel])
                        found = self._compute(layer, group, here, part, row, row + 1)
                        self._write(layer, group, here, np.array([part * layer.row_groups + row]), found)
            return
        for start in range(0, pixels, step):
            here = np.arange(start, min(pixels, start + step))
            found = np.concatenate([self._compute(layer, group, here, part, 0, layer.row_groups)
                                    for part in range(layer.groups)], axis=1)
            self._write(layer, group, here, np.arange(layer.groups * layer.row_groups), found)

    def _pixels_at_once(self, layer: Layer) -> int:
        vectors = len(self._memories.banks)
        read = vectors * min(layer.taps, _TAPS) * _LANES
        made = vectors * layer.groups * layer.row_groups * max(self._planes(layer), self._pe)
        return max(1, _SOME // max(read, made))

    @staticmethod
    def _planes(layer: Layer) -> int:
        """Planes of a result."""
        return 4 * layer.thresholds if layer.raw and not layer.pool else layer.out_bits

    # -- one group of channels ----------------------------------------------------------------------------

    def _compute(self, layer: Layer, group: int, pixels: np.ndarray, part: int, low: int, high: int) -> np.ndarray:
        """Results of row groups `low` to `high` of a group of channels: (pixels, row groups, planes, vectors)."""
        if layer.pool:
            largest = self._largest(layer, group, pixels, part)
            planes = (largest[..., None, :] >> np.arange(layer.out_bits, dtype=np.uint8)[:, None]) & 1
            words = np.packbits(planes, axis=-1, bitorder="little").view("<u8")[..., 0]  # vectors, pixels, planes
            return np.repeat(words.transpose(1, 2, 0)[:, None], high - low, axis=1)
        sums, offsets = self._sums(layer, group, pixels, part, low, high)
        whole = 1 << self._bits
        values = ((sums << layer.shift) - offsets[:, None]) % whole
        values[values >= whole >> 1] -= whole
        if layer.raw:
            codes = values
        else:
            first = part * layer.row_groups
            levels, down = self._thresholds(layer, first + low, first + high)
            codes = np.zeros(values.shape, np.int64)
            for number in range(layer.thresholds):
                codes += (values >= levels[number]) ^ down[number]
        results = []
        shape = len(self._memories.banks), pixels.size, high - low, self._pe
        for plane in range(self._planes(layer)):
            dots = (codes >> plane & 1).astype(np.uint8).reshape(shape)
            packed = np.zeros((*shape[:3], 8), np.uint8)
            found = np.packbits(dots, axis=-1, bitorder="little")
            packed[..., : found.shape[-1]] = found
            results.append(packed.view("<u8")[..., 0].transpose(1, 2, 0))
        return np.stack(results, axis=2)

    def _sums(self, layer: Layer, group: int, pixels: np.ndarray, part: int, low: int,
              high: int) -> tuple[np.ndarray, np.ndarray]:
        """Sums of products int64 (vectors * pixels, rows), and of activations times the offset of the weights."""
        vectors = len(self._memories.banks)
        sums = np.zeros((vectors * pixels.size, (high - low) * self._pe), np.int64)
        offsets = np.zeros(len(sums), np.int64)
        beta = layer.beta & (1 << layer.weight_planes) - 1
        for start in range(0, layer.taps, _TAPS):
            taps = np.arange(start, min(layer.taps, start + _TAPS))
            codes = self._window(layer, group, pixels, part, taps)
            most = taps.size * _LANES * ((1 << layer.planes) - 1)
            offsets += codes.sum(axis=1, dtype=np.int64) * beta
            exact = most * ((1 << layer.weight_planes) - 1) < _EXACT
            floats = codes.astype(np.float32 if exact else np.float64)
            rows = max(1, _SOME // (taps.size * _LANES * self._pe))
            for row in range(low, high, rows):
                end = min(high, row + rows)
                weights = self._weights_of(layer, part * layer.row_groups + row, end - row, taps, floats.dtype)
                columns = slice((row - low) * self._pe, (end - low) * self._pe)
                sums[:, columns] += _products(floats, weights)
        return sums, offsets

    # -- activations --------------------------------------------------------------------------------------

    def _addresses(self, layer: Layer, group: int, pixels: np.ndarray, part: int,
                   taps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Addresses of words (pixels, taps, planes), and whether a tap lies outside of the map (pixels, taps)."""
        oy, ox = np.divmod(pixels[:, None], layer.ox)
        ky, rest = np.divmod(taps, layer.kx * layer.words)
        kx, word = np.divmod(rest, layer.words)
        base = layer.source.base(group)
        pointers = (base + part * layer.st_group + oy * layer.st_oy + ox * layer.st_ox + ky * layer.st_ky
                    + kx * layer.st_kx + word * layer.st_word)
        planes = 1 if layer.pool else layer.planes
        pointers = pointers[..., None] + np.arange(planes) * layer.st_plane
        outside = (_position(layer.iy, oy, layer.stride, ky) >= layer.height)
        outside = outside | (_position(layer.ix, ox, layer.stride, kx) >= layer.width)
        return in_ring(base, layer.source.bits, pointers), outside

    def _dots(self, addresses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bits of the banks around the addresses, uint8 (vectors, words + 2, 64), and the addresses in them.

        The last two words are zeros and ones; addresses behind the banks become that of the zeros.
        """
        banks = self._memories.banks
        depth = banks.shape[1]
        there = addresses < depth
        low = int(addresses.min()) if there.any() else 0
        high = int(addresses[there].max()) + 1 if there.any() else 0
        dots = np.zeros((len(banks), high - low + 2, _LANES), np.uint8)
        words = np.ascontiguousarray(banks[:, low:high]).astype("<u8").view(np.uint8)
        dots[:, :-2] = np.unpackbits(words, axis=1, bitorder="little").reshape(len(banks), -1, _LANES)
        dots[:, -1] = 1
        return dots, np.where(there, addresses - low, high - low)

    def _window(self, layer: Layer, group: int, pixels: np.ndarray, part: int, taps: np.ndarray) -> np.ndarray:
        """Codes uint8 (vectors * pixels, taps * 64) that the array sees."""
        addresses, outside = self._addresses(layer, group, pixels, part, taps)
        dots, places = self._dots(addresses)
        zeros, ones = dots.shape[1] - 2, dots.shape[1] - 1
        codes = None
        for plane in range(layer.planes):
            place = np.where(outside, ones if layer.pad >> plane & 1 else zeros, places[..., plane])
            found = dots[:, place]
            codes = found if codes is None else codes | found << np.uint8(plane)
        assert codes is not None
        return codes.reshape(-1, taps.size * _LANES)

    def _largest(self, layer: Layer, group: int, pixels: np.ndarray, part: int) -> np.ndarray:
        """Largest code of each lane in the window, uint8 (vectors, pixels, 64)."""
        largest = np.zeros((len(self._memories.banks), pixels.size, _LANES), np.uint8)
        for window in range(layer.ky * layer.kx):
            taps = np.arange(window * layer.words, (window + 1) * layer.words)
            addresses, outside = self._addresses(layer, group, pixels, part, taps)
            dots, places = self._dots(addresses)
            place = np.where(outside, dots.shape[1] - 2, places[..., 0])
            codes = np.zeros_like(largest)
            for number in range(layer.words):  # the most significant plane comes first
                codes = codes << np.uint8(1) | dots[:, place[:, number]]
            np.maximum(largest, codes, out=largest)
        return largest

    # -- weights and thresholds ---------------------------------------------------------------------------

    def _weights_of(self, layer: Layer, first: int, count: int, taps: np.ndarray, dtype: Any) -> np.ndarray:
        """Weights (row groups, taps * 64, elements) of row groups from `first`, kept."""
        key = (layer.w_base, layer.w_row, layer.w_plane, layer.weight_planes, first, count, int(taps[0]), taps.size,
               dtype)
        found = self._weights.pop(key, None)
        if found is None:
            memory = self._memories.weights
            depth = memory.shape[1]
            numbers = first + np.arange(count)
            codes = None
            for plane in range(layer.weight_planes):
                addresses = layer.w_base + numbers[:, None] * layer.w_row + plane * layer.w_plane + taps
                addresses %= _WEIGHT_SPACE
                words = memory[:, np.minimum(addresses, depth - 1)]  # elements, row groups, taps
                words[:, addresses >= depth] = 0
                dots = np.unpackbits(words.astype("<u8", order="C").view(np.uint8), axis=-1, bitorder="little")
                codes = dots if codes is None else codes | dots << np.uint8(plane)
            assert codes is not None
            found = np.ascontiguousarray(codes.transpose(1, 2, 0).astype(dtype))
        self._weights[key] = found
        while sum(kept.size for kept in self._weights.values()) > _KEPT and len(self._weights) > 1:
            self._weights.popitem(last=False)
        return found

    def _thresholds(self, layer: Layer, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Thresholds int64 and directions bool (thresholds, rows) of row groups `first` to `last`."""
        key = layer.t_base, layer.thresholds, first, last
        found = self._entries.get(key)
        if found is None:
            memory = self._memories.thresholds
            depth = memory.shape[1]
            slots = -(-layer.thresholds // 3)
            places = np.arange(first, last)[:, None] * 4 + np.arange(4)
            levels, down = [], []
            for number in range(layer.thresholds):
                addresses = (layer.t_base + places * slots + number // 3) % _THRESHOLD_SPACE
                words = memory[:, np.minimum(addresses, depth - 1)]
                words[:, addresses >= depth] = 0
                words = words.transpose(1, 0, 2).reshape(-1)  # row group, cluster, place
                level = (words >> np.uint64(21 * (number % 3)) & np.uint64((1 << 21) - 1)).astype(np.int64)
                levels.append(np.where(level >> 20, level - (1 << 21), level))
                down.append(words >> np.uint64(63) != 0)
            found = self._entries[key] = np.stack(levels), np.stack(down)
        return found

    # -- results ------------------------------------------------------------------------------------------

    def _write(self, layer: Layer, group: int, pixels: np.ndarray, numbers: np.ndarray, found: np.ndarray) -> None:
        """Results (pixels, row groups, planes, vectors) to the banks, in the order in which the circuit writes them."""
        banks = self._memories.banks
        addresses, subs = self._places(layer, group, pixels, numbers)
        planes = self._planes(layer)
        width = _LANES if layer.pool else self._pe
        subs = np.broadcast_to(subs[None, :, None], addresses.shape).reshape(-1)
        addresses, values = addresses.reshape(-1), found.reshape(-1, len(banks))
        assert len(values) == len(addresses) and planes == found.shape[2]
        parts = _LANES // width
        order = np.arange(addresses.size)
        # What is written to each part of a word: results, and zeros above the first part. The last one stays.
        there = addresses < banks.shape[1]
        firsts = np.nonzero(there & (subs == 0))[0] if parts > 1 else order[:0]
        cleared = np.repeat(addresses[firsts], parts - 1) * parts + np.tile(np.arange(1, parts), firsts.size)
        kept = np.nonzero(there)[0]
        where = np.concatenate([cleared, addresses[kept] * parts + subs[kept]])
        when = np.concatenate([np.repeat(firsts, parts - 1), kept])
        which = np.concatenate([np.full(cleared.size, -1), kept])
        sorting = np.lexsort((when, where))
        where, which = where[sorting], which[sorting]
        last = np.append(where[1:] != where[:-1], True) if where.size else np.zeros(0, bool)
        where, which = where[last], which[last]
        new = np.where((which >= 0)[:, None], values[which] if values.size else 0, np.uint64(0))
        words, part_of = np.divmod(where, parts)
        for part in range(parts):
            here = part_of == part
            mask = np.uint64((1 << width) - 1 << part * width)
            shifted = new[here].T << np.uint64(part * width)
            banks[:, words[here]] = banks[:, words[here]] & ~mask | shifted

    def _places(self, layer: Layer, group: int, pixels: np.ndarray,
                numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Addresses (pixels, row groups, planes) of results, and which part of the word (row groups)."""
        base = layer.to.base(group)
        if layer.pool:
            words, subs = numbers, np.zeros(numbers.size, np.int64)
        else:
            words, subs = np.divmod(layer.out_sub + numbers, self._subs)
        pointers = base + pixels[:, None] * layer.st_out + words
        pointers = pointers[..., None] + np.arange(self._planes(layer)) * layer.st_oplane
        return in_ring(base, layer.to.bits, pointers), subs

    # -- what a layer reads and writes --------------------------------------------------------------------

    def _disturbs(self, layer: Layer, group: int) -> bool:
        """Whether it may read a word that it writes."""
        if layer.rows == 1:
            return False
        read = 1
        rows = _offsets(layer.oy, layer.st_oy, layer.ky, layer.st_ky, layer.iy, layer.stride, layer.height)
        columns = _offsets(layer.ox, layer.st_ox, layer.kx, layer.st_kx, layer.ix, layer.stride, layer.width)
        planes = 1 if layer.pool else layer.planes
        for offsets in (rows, columns, _multiples(layer.groups, layer.st_group), _multiples(planes, layer.st_plane),
                        _multiples(layer.words, layer.st_word)):
            read = _sum_set(read, offsets)
        written = _sum_set(1, _multiples(layer.oy * layer.ox, layer.st_out))
        count = layer.groups * layer.row_groups
        if not layer.pool:
            count = (layer.out_sub + count - 1) // self._subs + 1
        written = _sum_set(written, _multiples(min(count, POINTERS), 1))
        written = _sum_set(written, _multiples(self._planes(layer), layer.st_oplane))
        there = (1 << self._memories.banks.shape[1]) - 1
        return bool(_in_bank(read, layer.source, group) & _in_bank(written, layer.to, group) & there)


def _products(codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums int64 (pixels, row groups * elements) of codes (pixels, lanes) and weights (row groups, lanes, elements).

    In pieces that are too small for threads of the library below: where others use the processor as well, waiting for
    each other takes threads ten times what the products take.
    """
    count, lanes = codes.shape
    groups, _, elements = weights.shape
    rows = min(count, max(1, _ALONE // (lanes * elements)))
    blocks = -(-count // rows)
    padded = np.zeros((blocks * rows, lanes), codes.dtype)
    padded[:count] = codes
    found = np.matmul(padded.reshape(1, blocks, rows, lanes), weights[:, None])
    found = found.reshape(groups, -1, elements)[:, :count]
    return found.transpose(1, 0, 2).reshape(count, -1).astype(np.int64)


# Sets of addresses as bits of an integer: adding is turning it round.


def _multiples(count: int, stride: int) -> Iterable[int]:
    return set((np.arange(count) * stride % POINTERS).tolist())


def _offsets(count: int, stride: int, taps: int, st_tap: int, first: int, step: int, size: int) -> Iterable[int]:
    """Pointer offsets of the taps inside of the map, in one direction."""
    place, tap = np.arange(count)[:, None], np.arange(taps)
    inside = _position(first, place, step, tap) < size
    return set(((place * stride + tap * st_tap) % POINTERS)[inside].tolist())


def _sum_set(bits: int, offsets: Iterable[int]) -> int:
    found = 0
    for offset in offsets:
        found |= bits << offset | bits >> POINTERS - offset
    return found & (1 << POINTERS) - 1


def _in_bank(bits: int, ring: Ring, group: int) -> int:
    """The addresses of pointers, given as distances from the base."""
    base = ring.base(group)
    bits = _sum_set(bits, (base,))
    span = 1 << ring.bits
    if span >= POINTERS:
        return bits
    folded = 0
    for start in range(0, POINTERS, span):
        folded |= bits >> start & (1 << span) - 1
    return folded << (base & POINTERS - 1 & ~(span - 1))


def _position(first: int, place: np.ndarray, step: int, tap: np.ndarray) -> np.ndarray:
    """In 9 bits: what is left of or above the map comes out behind it."""
    return (first + place * step + tap) & 511
