"""Which waits a program needs so that the circuit, which overlaps, gives what an instruction at a time would give.

Works on what every instruction reads and writes, address by address, over all groups of a run.
"""

from __future__ import annotations

from itertools import islice, product
from typing import Any, Iterator, Sequence

import numpy as np

from .fields import LAYER, LOAD, POOL, STORE

__all__ = ["IN_FLIGHT", "conflict_free", "fed_words", "planes_apart", "read_addresses", "reads", "settle", "writes"]

Fields = dict  # of an instruction, with "op"
IN_FLIGHT = 3  # row groups whose results may still be on their way when the next layer begins
_ALL = 255


def _ringed(base: int, pointers: Any, ring: int) -> np.ndarray:
    pointers = np.asarray(pointers, dtype=np.int64)
    if ring >= 12:
        return pointers % 4096
    mask = (1 << ring) - 1
    return (base & 4095 & ~mask) | (pointers & mask)


def _after(f: Fields, name: str, alt: str, group: int) -> int:
    return (f[name] ^ (f[alt] if group % 2 else 0)) & 4095


def _inside(f: Fields, start: str, limit: str, count: str, kernel: str) -> np.ndarray:
    """(outputs, kernel) whether a tap lies in the map."""
    place = f[start] + np.arange(f[count])[:, None] * f["stride"] + np.arange(f[kernel])
    place = (place + 256) % 512 - 256
    return (place >= 0) & (place < f[limit])


def reads(f: Fields, group: int) -> np.ndarray:
    """Whether each of 4096 bank addresses is read by a layer or pool."""
    base = _after(f, "in_ptr", "in_alt", group)
    planes = f["act_bits"] if f["op"] == LAYER else 1
    inside_y, inside_x = _inside(f, "iy0", "in_h", "oy", "ky"), _inside(f, "ix0", "in_w", "ox", "kx")
    y = (np.arange(f["oy"])[:, None] * f["st_oy"] + np.arange(f["ky"]) * f["st_ky"])[inside_y]
    x = (np.arange(f["ox"])[:, None] * f["st_ox"] + np.arange(f["kx"]) * f["st_kx"])[inside_x]
    rest = (
        np.arange(f["groups"])[:, None, None] * f["st_group"]
        + np.arange(planes)[:, None] * f["st_plane"]
        + np.arange(f["n0"]) * f["st_0"]
    ).ravel()
    seen = np.zeros(4096, dtype=bool)
    plane = np.unique((y[:, None] + x).ravel() % 4096)
    seen[_ringed(base, base + plane[:, None] + rest, f["in_ring"]).ravel()] = True
    return seen


def _row_writes(f: Fields, group: int) -> Iterator[np.ndarray]:
    """Addresses that each row group writes, in order."""
    base = _after(f, "out_ptr", "out_alt", group)
    for pixel in range(f["ox"] * f["oy"]):
        for row in range(f["groups"] * (f["rgs"] if f["op"] == LAYER else 1)):
            word = (f["out_sub"] + row) // f["subs"] if f["op"] == LAYER else row
            yield _ringed(
                base, base + pixel * f["st_out"] + word + np.arange(f["planes"]) * f["st_oplane"], f["out_ring"]
            )


def writes(f: Fields, group: int) -> np.ndarray:
    """Whether each of 4096 bank addresses is written by a layer or pool."""
    base = _after(f, "out_ptr", "out_alt", group)
    rows = f["groups"] * (f["rgs"] if f["op"] == LAYER else 1)
    words = (f["out_sub"] + np.arange(rows)) // f["subs"] if f["op"] == LAYER else np.arange(rows)
    pixels = np.arange(f["ox"] * f["oy"])[:, None, None] * f["st_out"]
    seen = np.zeros(4096, dtype=bool)
    pointers = base + pixels + np.unique(words)[:, None] + np.arange(f["planes"]) * f["st_oplane"]
    seen[_ringed(base, pointers, f["out_ring"]).ravel()] = True
    return seen


def read_addresses(f: Fields, group: int) -> Iterator[int]:
    """Bank addresses in the order in which they are read; -1 for a word outside the map."""
    base = _after(f, "in_ptr", "in_alt", group)
    inside_y, inside_x = _inside(f, "iy0", "in_h", "oy", "ky"), _inside(f, "ix0", "in_w", "ox", "kx")
    rgs = f["rgs"] if f["op"] == LAYER else 1
    w, a = (f["weight_bits"], f["act_bits"]) if f["op"] == LAYER else (1, 1)
    passes = [s - i for s in range(w + a - 2, -1, -1) for i in range(min(w - 1, s), max(0, s - a + 1) - 1, -1)]
    for oy, ox, inner, _ in product(range(f["oy"]), range(f["ox"]), range(f["groups"]), range(rgs)):
        for j, ky, kx, n in product(passes, range(f["ky"]), range(f["kx"]), range(f["n0"])):
            if inside_y[oy, ky] and inside_x[ox, kx]:
                pointer = (
                    base
                    + oy * f["st_oy"]
                    + ox * f["st_ox"]
                    + inner * f["st_group"]
                    + j * f["st_plane"]
                    + ky * f["st_ky"]
                    + kx * f["st_kx"]
                    + n * f["st_0"]
                )
                yield int(_ringed(base, pointer, f["in_ring"]))
            else:
                yield -1


def fed_words(f: Fields) -> int:
    """Words that a layer or pool feeds to the array."""
    each = f["oy"] * f["ox"] * f["groups"] * f["ky"] * f["kx"] * f["n0"]
    return each * f["rgs"] * f["weight_bits"] * f["act_bits"] if f["op"] == LAYER else each


def conflict_free(f: Fields, groups: int) -> bool:
    """Whether a layer reads nothing that it writes itself."""
    return not any((reads(f, group) & writes(f, group)).any() for group in range(min(groups, 2)))


def planes_apart(f: Fields) -> bool:
    """Whether the planes of a result lie at different addresses: nobody says which one would stay."""
    base = f["out_ptr"]
    places = _ringed(base, base + np.arange(f["planes"]) * f["st_oplane"], f["out_ring"])
    return len(np.unique(places)) == f["planes"]


def _weights(f: Fields) -> np.ndarray:
    seen = np.zeros(2048, dtype=bool)
    taps = f["ky"] * f["kx"] * f["n0"]
    rows = np.arange(f["groups"] * f["rgs"])[:, None, None] * f["wrow"]
    seen[(f["w_base"] + rows + np.arange(f["weight_bits"])[:, None] * f["kw"] + np.arange(taps)).ravel() % 2048] = True
    return seen


def _thresholds(f: Fields) -> np.ndarray:
    seen = np.zeros(512, dtype=bool)
    if f["op"] == LAYER and not f["raw"]:
        seen[(f["t_base"] + np.arange(f["groups"] * f["rgs"] * 4 * ((f["levels"] + 2) // 3))) % 512] = True
    return seen


def _moved(f: Fields, base: int, count: int) -> np.ndarray:
    seen = np.zeros(4096, dtype=bool)
    seen[_ringed(base, base + np.arange(count), f["ring"])] = True
    return seen


class _State:
    """What may still be under way."""

    def __init__(self) -> None:
        self.loads: list[tuple[int, np.ndarray, tuple[int, int, int]]] = []  # target, addresses, memory read
        self.stores: list[tuple[np.ndarray, tuple[int, int, int]]] = []  # addresses, memory written
        self.drained()

    def drained(self) -> None:
        self.results = np.zeros(4096, dtype=bool)  # may still be written by layers
        self.levels = np.zeros(512, dtype=bool)  # may still be read for them
        self.late: list[np.ndarray] = []  # of the last row groups


def _overlap(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    return one[0] == other[0] and one[1] < other[2] and other[1] < one[2]


def settle(
    program: Sequence[Fields], groups: int, geometry: tuple[int, int], strides: Sequence[int], rng: np.random.Generator
) -> None:
    """Set the wait flags and `safe` of a program's instructions, so that nothing is read or overwritten too soon.

    geometry : P, V. strides : of the four regions.
    """
    state = _State()
    for f in program:
        if f["op"] in (LAYER, POOL):
            f.setdefault("safe", _ALL)
            f["exact"] = rng.integers(4)  # 0: waits for the drain before it starts; 1: fewer safe words than there are
    for group in range(groups):
        for f in program:
            if not (f.get("first") and group) and not (f["op"] == LOAD and f.get("next") and group == groups - 1):
                _step(f, group, state, geometry, strides, rng)


def _window(f: Fields, group: int, nbytes: int, strides: Sequence[int]) -> tuple[int, int, int]:
    start = f["offset"] + (group * strides[f["region"]] if f["region"] in (1, 2) else 0)
    return f["region"], start, start + nbytes


def _step(
    f: Fields, group: int, state: _State, geometry: tuple[int, int], strides: Sequence[int], rng: np.random.Generator
) -> None:
    P, V = geometry
    op = f["op"]
    need_load = need_store = need_drain = False
    if op == LOAD:
        of = group + 1 if f.get("next") else group
        dst = _after(f, "dst", "alt", of)
        size = (P, P // 4, V)[f["target"]]
        count = -(-f["words"] // size)
        memory = _window(f, of, 8 * f["words"], strides)
        need_store = any(_overlap(memory, other) for _, other in state.stores)
        touched = _moved(f, dst, count) if f["target"] == 2 else np.zeros(4096, dtype=bool)
        if f["target"] == 1:
            touched[(dst + np.arange(count)) % 512] = True
            need_drain = bool((touched[:512] & state.levels).any())
        elif f["target"] == 0:
            touched[(dst + np.arange(count)) % 2048] = True
        else:
            need_store |= any((touched & read).any() for read, _ in state.stores)
            need_drain = bool((touched & state.results).any())
    elif op == STORE:
        touched = _moved(f, _after(f, "src", "alt", group), f["words"])
        memory = _window(f, group, 8 * V * f["words"], strides)
        need_load = any(
            target == 2 and (touched & loaded).any() or _overlap(memory, other) for target, loaded, other in state.loads
        )
    elif op in (LAYER, POOL):
        read, written, weights, levels = reads(f, group), writes(f, group), _weights(f), _thresholds(f)
        for target, loaded, _ in state.loads:
            if target == 0:
                need_load |= op == LAYER and bool((weights & loaded[:2048]).any())
            elif target == 1:
                need_load |= bool((levels & loaded[:512]).any())
            else:
                need_load |= bool(((read | written) & loaded).any())
        need_store = any((written & stored).any() for stored, _ in state.stores)
        if op == LAYER and (read & state.results).any():
            if f["exact"] == 0:
                need_drain = True
            elif not f.get("wait_drain"):
                late = {int(a) for row in state.late for a in row}
                limit = next((at for at, a in enumerate(islice(read_addresses(f, group), _ALL)) if a in late), _ALL)
                if limit == _ALL and fed_words(f) > _ALL:
                    limit -= 1
                if f["exact"] == 1 and limit < _ALL:
                    limit = int(rng.integers(0, limit + 1))
                f["safe"] = min(f["safe"], limit)
    for flag, needed in (("wait_load", need_load), ("wait_store", need_store), ("wait_drain", need_drain)):
        if needed:
            f[flag] = 1
    # What is over once this instruction has begun, and what it adds.
    if f.get("wait_load"):
        state.loads = []
    if f.get("wait_store"):
        state.stores = []
    if op == POOL or f.get("wait_drain"):  # a pool always waits
        state.drained()
    if op == LOAD:
        state.loads.append((f["target"], touched, memory))
    elif op == STORE:
        state.stores.append((touched, memory))
    elif op in (LAYER, POOL):
        if op == LAYER and f["safe"] != _ALL and f["safe"] < fed_words(f):
            state.drained()
        state.results |= written
        state.levels |= levels
        rows = f["ox"] * f["oy"] * f["groups"] * (f["rgs"] if op == LAYER else 1)
        state.late = (state.late + list(islice(_row_writes(f, group), max(0, rows - IN_FLIGHT), None)))[-IN_FLIGHT:]
