"""What an instruction has to wait for: found by following a program through batches of one to three groups.

Instructions begin one behind the other, and a LAYER has read all of its words before the next one begins. What goes on
behind: loads, one store, and the results of the last row groups, which are on their way to the banks.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple, Sequence

import numpy as np

from .program import ACTIVATIONS, NO_RING, THRESHOLDS, WEIGHTS, Flags, Instruction, Layer, Load, Place, Store

__all__ = ["load_early", "settle_waits"]

_POINTERS = 1 << 12
_UNDER_WAY = 4  # row groups whose results are not in the banks: three wait, one is just over
_ALWAYS = 255  # of `safe`: nothing needs to be waited for
_MOST_SAFE = 254


class _Flight(NamedTuple):
    """Results on their way: addresses that they go to, words of the thresholds that they are compared with."""

    addresses: np.ndarray
    thresholds: tuple[int, int]


class _Access(NamedTuple):
    """Of a load or a store: words of the banks, and of memory; of weights and thresholds, words from `to` on."""

    banks: np.ndarray
    region: int
    start: int
    end: int
    target: int = ACTIVATIONS
    to: tuple[int, int] = (0, 0)


def settle_waits(program: Sequence[Instruction], geometry: dict) -> list[Instruction]:
    """The program with the waits that it needs, and no more."""
    found = list(program)
    known = False
    for groups in (3, 2, 1):  # the first one, those behind, the last one, for which nothing is loaded ahead
        follower = _Follower(geometry)
        for group in range(groups):
            for place, instruction in enumerate(found):
                if instruction.flags.first and group or instruction.flags.next and group == groups - 1:
                    continue
                found[place] = follower.follow(instruction, known)
            known = True
    return found


def load_early(program: Sequence[tuple[int | None, Instruction]],
               geometry: dict[str, int]) -> list[tuple[int | None, Instruction]]:
    """The program, whose first loads of a group are done while the group before still computes.

    That is as soon as nothing uses the words any more that they go to.
    """
    count = next((place for place, (_, one) in enumerate(program) if not isinstance(one, Load)), len(program))
    first = [(layer, one) for layer, one in program[:count]
             if isinstance(one, Load) and not one.flags.wait_load and one.target == ACTIVATIONS]
    count = len(first)
    if not count:
        return list(program)
    vectors = geometry["vectors"]
    words = np.unique(np.concatenate([_addresses(one.to, np.arange(-(-one.words // vectors))) for _, one in first]))
    place = next(place for place in range(len(program), 0, -1)
                 if _meet(_touched(program[place - 1][1], geometry), words))
    early: list[tuple[int | None, Instruction]] = [
        (layer, replace(one, flags=replace(one.flags, first=True))) for layer, one in first]
    again: list[tuple[int | None, Instruction]] = [
        (layer, replace(one, flags=replace(one.flags, next=True))) for layer, one in first]
    return [*early, *program[count:place], *again, *program[place:]]


class _Follower:
    """The state of the circuit as far as it is certain."""

    def __init__(self, geometry: dict) -> None:
        self.depth, self.vectors = geometry["bank_words"], geometry["vectors"]
        self.elements, self.clusters = geometry["pe"], geometry["pe"] // 4
        self.subs = 64 // geometry["pe"]
        self.loads: list[_Access] = []
        self.store: _Access | None = None
        self.flights: deque[_Flight] = deque(maxlen=_UNDER_WAY)

    def follow(self, instruction: Instruction, known: bool) -> Instruction:
        """The instruction with the waits that it needs here, beside those that it has; `known`: its `safe` counts."""
        if isinstance(instruction, Load):
            return self._load(instruction)
        if isinstance(instruction, Store):
            return self._store(instruction)
        if isinstance(instruction, Layer):
            return self._layer(instruction, known)
        return instruction

    # -- waits --------------------------------------------------------------------------------------------

    def _waits(self, instruction: Instruction, load: bool, store: bool, drain: bool) -> Instruction:
        flags = instruction.flags
        flags = replace(flags, wait_load=flags.wait_load or load, wait_store=flags.wait_store or store,
                        wait_drain=flags.wait_drain or drain)
        if flags.wait_load:
            self.loads.clear()
        if flags.wait_store:
            self.store = None
        if flags.wait_drain:
            self.flights.clear()
        return replace(instruction, flags=flags)

    def _load(self, load: Load) -> Instruction:
        nbytes = 8 * load.words
        units = (self.elements, self.clusters, self.vectors)[load.target]
        access = _Access(self._load_words(load), load.region, load.offset, load.offset + nbytes, load.target,
                         (load.to.pointer, load.to.pointer + -(-load.words // units)))
        stored = self.store is not None and (
            _meet(access.banks, self.store.banks) and load.target == ACTIVATIONS or _overlap(access, self.store))
        drain = load.target == ACTIVATIONS and any(_meet(access.banks, flight.addresses) for flight in self.flights)
        if load.target == THRESHOLDS:  # read on the way out
            drain = any(_within(access.to, flight.thresholds) for flight in self.flights)
        found = self._waits(load, False, bool(stored), drain)
        self.loads = [*self.loads[-1:], access]  # two may be under way: a third one is held
        return found

    def _store(self, store: Store) -> Instruction:
        addresses = _addresses(store.source, np.arange(store.words))
        access = _Access(addresses, store.region, store.offset, store.offset + 8 * self.vectors * store.words)
        load = any(_overlap(access, other) or other.target == ACTIVATIONS and _meet(addresses, other.banks)
                   for other in self.loads)
        found = self._waits(store, load, False, False)
        self.store = access  # one that was under way is complete, or this one had been held
        return found

    def _layer(self, layer: Layer, known: bool) -> Instruction:
        bare = _bare(layer)
        written = _written(bare, self.subs)
        loads = [other for other in self.loads if other.target == ACTIVATIONS]
        load = not layer.pool and any(_within(other.to, used) for other in self.loads for target, used in
                                      ((WEIGHTS, _weights(layer)), (THRESHOLDS, _thresholds(layer)))
                                      if other.target == target)
        if loads:
            coming = np.unique(np.concatenate([other.banks for other in loads]))
            load = load or _meet(coming, written) or _meet(coming, _reads(bare))
        store = self.store is not None and _meet(self.store.banks, written)
        safe = self._safe(layer)
        if known:
            safe = min(safe, layer.safe)
        found = self._waits(replace(layer, safe=safe), load, store, False)
        if layer.cycles > safe:
            self.flights.clear()  # it went on when they had come
        self.flights.extend(self._flights(layer))
        return found

    def _safe(self, layer: Layer) -> int:
        """Words that may be read before the results that are under way have come."""
        if not self.flights:
            return _ALWAYS
        coming = np.concatenate([flight.addresses for flight in self.flights])
        bare = _bare(layer)
        if not _meet(coming, _reads(bare)):
            return _ALWAYS
        hit = np.flatnonzero(np.isin(_first_reads(bare), coming))
        return min(int(hit[0]), _MOST_SAFE) if hit.size else _MOST_SAFE

    # -- words --------------------------------------------------------------------------------------------

    def _load_words(self, load: Load) -> np.ndarray:
        if load.target != ACTIVATIONS:
            return np.zeros(0, np.int64)
        return np.unique(_addresses(load.to, np.arange(-(-load.words // self.vectors))))

    def _flights(self, layer: Layer) -> list[_Flight]:
        """What of a layer's results is under way once its words have been read."""
        places, planes = _results(layer, self.subs)
        used = _thresholds(layer)
        flights: list[_Flight] = []
        for back in range(min(layer.rows, _UNDER_WAY)):
            pixel, number = divmod(layer.rows - 1 - back, len(places))
            addresses = _addresses(layer.to, pixel * layer.st_out + places[number] + planes)
            flights.insert(0, _Flight(addresses, used))
        return flights


def _touched(one: Instruction, geometry: dict[str, int]) -> np.ndarray:
    """Words of the banks that an instruction reads or writes."""
    if isinstance(one, Layer):
        return np.concatenate([_reads(_bare(one)), _written(_bare(one), 64 // geometry["pe"])])
    if isinstance(one, Store):
        return _addresses(one.source, np.arange(one.words))
    if isinstance(one, Load) and one.target == ACTIVATIONS:
        return np.unique(_addresses(one.to, np.arange(-(-one.words // geometry["vectors"]))))
    return np.zeros(0, np.int64)


def _results(layer: Layer, subs: int) -> tuple[np.ndarray, np.ndarray]:
    """Words of a pixel that each row group goes to, and offsets of the planes."""
    count = layer.groups * layer.row_groups
    places = np.arange(count) if layer.pool else (layer.out_sub + np.arange(count)) // subs
    return places, np.arange(layer.planes) * layer.st_oplane


def _weights(layer: Layer) -> tuple[int, int]:
    """Words of the weights that a layer reads."""
    last = (layer.groups * layer.row_groups - 1) * layer.w_row + (layer.weight_bits - 1) * layer.w_plane
    return layer.w_base, layer.w_base + last + layer.taps


def _thresholds(layer: Layer) -> tuple[int, int]:
    """Words of the thresholds."""
    slots = 0 if layer.pool or layer.raw else -(-layer.levels // 3)
    return layer.t_base, layer.t_base + 4 * slots * layer.groups * layer.row_groups


def _within(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _bare(layer: Layer) -> Layer:
    """Without what it waits for: what it reads and writes is found once."""
    return replace(layer, safe=0, flags=Flags())


@lru_cache(maxsize=512)
def _written(layer: Layer, subs: int) -> np.ndarray:
    """All words that a layer writes."""
    places, planes = _results(layer, subs)
    offsets = np.unique(places[:, None] + planes)
    pixels = np.arange(layer.out_size[0] * layer.out_size[1])[:, None] * layer.st_out
    return np.unique(_addresses(layer.to, (pixels + offsets).reshape(-1)))


def _meet(one: np.ndarray, other: np.ndarray) -> bool:
    mask = np.zeros(_POINTERS, bool)
    mask[one] = True
    return bool(mask[other].any())


def _overlap(one: _Access, other: _Access) -> bool:
    return one.region == other.region and one.start < other.end and other.start < one.end


def _addresses(place: Place, offsets: np.ndarray) -> np.ndarray:
    pointers = (place.pointer + offsets) % _POINTERS
    if place.ring == NO_RING:
        return pointers
    mask = (1 << place.ring) - 1
    return place.pointer & ~mask | pointers & mask


def _inside(layer: Layer, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Which taps lie in the map, bool (places, taps), and their offsets."""
    count, taps = layer.out_size[axis], layer.kernel[axis]
    place, tap = np.arange(count)[:, None], np.arange(taps)
    position = layer.first[axis] + place * layer.stride + tap
    step, inner = ((layer.st_oy, layer.st_ky), (layer.st_ox, layer.st_kx))[axis]
    return (position >= 0) & (position < layer.in_size[axis]), place * step + tap * inner


@lru_cache(maxsize=512)
def _reads(layer: Layer) -> np.ndarray:
    """All addresses that a layer reads."""
    (rows_in, rows), (columns_in, columns) = _inside(layer, 0), _inside(layer, 1)
    offsets = np.unique(rows[rows_in])
    planes = 1 if layer.pool else layer.in_bits
    for count, step in ((layer.words, layer.st_word), (planes, layer.st_plane), (layer.groups, layer.st_group)):
        offsets = np.unique(offsets[:, None] + np.arange(count) * step)
    offsets = np.unique(offsets[:, None] + np.unique(columns[columns_in]))
    return np.unique(_addresses(layer.source, offsets))


@lru_cache(maxsize=512)
def _first_reads(layer: Layer, count: int = _ALWAYS) -> np.ndarray:
    """Addresses of the first words in the order of the circuit, -1 for those outside of the map."""
    passes = [0] if layer.pool else [
        s - i for s in range(layer.weight_bits + layer.in_bits - 2, -1, -1)
        for i in range(min(layer.weight_bits - 1, s), max(0, s - layer.in_bits + 1) - 1, -1)]
    ky, kx = np.divmod(np.arange(layer.kernel[0] * layer.kernel[1]), layer.kernel[1])
    taps = ((ky * layer.st_ky + kx * layer.st_kx)[:, None] + np.arange(layer.words) * layer.st_word).reshape(-1)
    ky, kx = np.repeat(ky, layer.words), np.repeat(kx, layer.words)
    found: list[np.ndarray] = []
    total = number = 0
    per = layer.groups * layer.row_groups
    while total < count and number < layer.rows:
        pixel, row = divmod(number, per)
        oy, ox = divmod(pixel, layer.out_size[1])
        base = oy * layer.st_oy + ox * layer.st_ox + row // layer.row_groups * layer.st_group
        y, x = layer.first[0] + oy * layer.stride + ky, layer.first[1] + ox * layer.stride + kx
        inside = (y >= 0) & (y < layer.in_size[0]) & (x >= 0) & (x < layer.in_size[1])
        for plane in passes:
            addresses = _addresses(layer.source, base + taps + plane * layer.st_plane)
            found.append(np.where(inside, addresses, -1))
            total += taps.size
        number += 1
    return np.concatenate(found)[:count]
