"""What an instruction has to wait for: found by following a program twice, from nothing and from its own end.

Instructions begin one behind the other, and a LAYER has read all of its words before the next one begins. What goes on
behind: loads, one store, and the results of the last row groups, which are on their way to the banks.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import NamedTuple, Sequence

import numpy as np

from .program import ACTIVATIONS, NO_RING, THRESHOLDS, Instruction, Layer, Load, Place, Store

__all__ = ["settle_waits"]

_POINTERS = 1 << 12
_LATENCY = 64  # cycles from the last word of a row group until its results are in the banks, and its steps
_ALWAYS = 255  # of `safe`: nothing needs to be waited for
_MOST_SAFE = 254


class _Flight(NamedTuple):
    """Results on their way: addresses that they go to, cycles since the row group's last word."""

    addresses: np.ndarray
    age: int
    thresholds: tuple[int, int]


class _Access(NamedTuple):
    """Of a load or a store: words of the banks, and of memory."""

    banks: np.ndarray
    region: int
    start: int
    end: int
    target: int = ACTIVATIONS


def settle_waits(program: Sequence[Instruction], geometry: dict) -> list[Instruction]:
    """The program with the waits that it needs, and no more."""
    found = list(program)
    follower = _Follower(geometry)
    for group in range(2):
        for place, instruction in enumerate(found):
            if instruction.flags.first and group:
                continue
            found[place] = follower.follow(instruction, group)
    return found


class _Follower:
    """The state of the circuit as far as it is certain."""

    def __init__(self, geometry: dict) -> None:
        self.depth, self.vectors = geometry["bank_words"], geometry["vectors"]
        self.elements, self.clusters = geometry["pe"], geometry["pe"] // 4
        self.subs = 64 // geometry["pe"]
        self.loads: list[_Access] = []
        self.store: _Access | None = None
        self.flights: deque[_Flight] = deque()

    def follow(self, instruction: Instruction, group: int) -> Instruction:
        """The instruction with the waits that it needs in this group, beside those that it has."""
        if isinstance(instruction, Load):
            return self._load(instruction)
        if isinstance(instruction, Store):
            return self._store(instruction)
        if isinstance(instruction, Layer):
            return self._layer(instruction, group)
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
        access = _Access(self._load_words(load), load.region, load.offset, load.offset + nbytes, load.target)
        stored = self.store is not None and (
            _meet(access.banks, self.store.banks) and load.target == ACTIVATIONS or _overlap(access, self.store))
        drain = load.target == ACTIVATIONS and any(_meet(access.banks, flight.addresses) for flight in self.flights)
        if load.target == THRESHOLDS:  # read on the way out
            first, last = load.to.pointer, load.to.pointer + -(-load.words // self.clusters)
            drain = any(first < flight.thresholds[1] and flight.thresholds[0] < last for flight in self.flights)
        found = self._waits(load, False, bool(stored), drain)
        self.loads.append(access)
        return found

    def _store(self, store: Store) -> Instruction:
        addresses = _addresses(store.source, np.arange(store.words))
        access = _Access(addresses, store.region, store.offset, store.offset + 8 * self.vectors * store.words)
        load = any(_overlap(access, other) or other.target == ACTIVATIONS and _meet(addresses, other.banks)
                   for other in self.loads)
        found = self._waits(store, load, False, False)
        self.store = access  # one that was under way is complete, or this one had been held
        return found

    def _layer(self, layer: Layer, group: int) -> Instruction:
        written, flights = self._results(layer)
        loads = [other for other in self.loads if other.target == ACTIVATIONS]
        load = bool(len(loads) < len(self.loads) and not layer.pool)  # weights or thresholds
        if loads:
            coming = np.unique(np.concatenate([other.banks for other in loads]))
            load = load or _meet(coming, written) or _meet(coming, _reads(layer))
        store = self.store is not None and _meet(self.store.banks, written)
        safe = self._safe(layer)
        if group:
            safe = min(safe, layer.safe)
        found = self._waits(replace(layer, safe=safe), load, store, False)
        if layer.cycles > safe:
            self.flights.clear()  # it went on when they had come
        for flight in list(self.flights):
            self.flights.remove(flight)
            self.flights.append(flight._replace(age=flight.age + layer.cycles))
        self.flights.extend(flights)
        while self.flights and self.flights[0].age > _LATENCY:
            self.flights.popleft()
        return found

    def _safe(self, layer: Layer) -> int:
        """Words that may be read before the results that are under way have come."""
        if not self.flights:
            return _ALWAYS
        coming = np.concatenate([flight.addresses for flight in self.flights])
        words = _first_reads(layer, _ALWAYS)
        hit = np.flatnonzero(np.isin(words, coming))
        if not hit.size and not _meet(coming, _reads(layer)):
            return _ALWAYS
        return min(int(hit[0]), _MOST_SAFE) if hit.size else _MOST_SAFE

    # -- words --------------------------------------------------------------------------------------------

    def _load_words(self, load: Load) -> np.ndarray:
        if load.target != ACTIVATIONS:
            return np.zeros(0, np.int64)
        return np.unique(_addresses(load.to, np.arange(-(-load.words // self.vectors))))

    def _results(self, layer: Layer) -> tuple[np.ndarray, list[_Flight]]:
        """All addresses that a layer writes, and what of it is under way once its words have been read."""
        pixels, per = layer.out_size[0] * layer.out_size[1], layer.groups * layer.row_groups
        places = np.arange(layer.groups) if layer.pool else (layer.out_sub + np.arange(per)) // self.subs
        planes = np.arange(layer.planes) * layer.st_oplane
        offsets = (places[:, None] + planes).reshape(-1)
        all_pixels = np.arange(pixels)[:, None] * layer.st_out
        written = np.unique(_addresses(layer.to, (all_pixels + offsets).reshape(-1)))
        steps = 4 * (layer.out_bits if layer.pool else layer.levels)
        period = max(layer.passes * layer.taps, 1)
        flights: list[_Flight] = []
        slots = 1 if layer.pool or layer.raw else -(-layer.levels // 3)
        used = (layer.t_base, layer.t_base + 0 if layer.pool or layer.raw else layer.t_base + 4 * slots * per)
        count = min(layer.rows, -(-(_LATENCY + steps) // max(period, steps if not layer.pool else period)) + 2)
        for back in range(count):
            pixel, number = divmod(layer.rows - 1 - back, per)
            place = number if layer.pool else (layer.out_sub + number) // self.subs
            addresses = _addresses(layer.to, pixel * layer.st_out + place + planes)
            # Those that may be late count from the end of the steps before them.
            flights.insert(0, _Flight(addresses, max(0, (back - 1) * period - steps), used))
        return written, flights


def _meet(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.intersect1d(one, other).size)


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


def _reads(layer: Layer) -> np.ndarray:
    """All addresses that a layer reads."""
    (rows_in, rows), (columns_in, columns) = _inside(layer, 0), _inside(layer, 1)
    offsets = np.unique(rows[rows_in])
    planes = 1 if layer.pool else layer.in_bits
    for count, step in ((layer.words, layer.st_word), (planes, layer.st_plane), (layer.groups, layer.st_group)):
        offsets = np.unique(offsets[:, None] + np.arange(count) * step)
    offsets = np.unique(offsets[:, None] + np.unique(columns[columns_in]))
    return np.unique(_addresses(layer.source, offsets))


def _first_reads(layer: Layer, count: int) -> np.ndarray:
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
