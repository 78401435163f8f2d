"""What a network costs on the engine by the model of its cycles, layer by layer: for profiles, deadlines, tables."""

from __future__ import annotations

from typing import Any, Sequence

from ...contracts.driver import LayerPlan
from .compiler import Compiled, Part
from .program import Instruction, Layer, Load, Store

__all__ = ["layer_cycles", "part_cycles", "part_least", "plan_rows"]

_LATENCY = 30  # cycles that a layer waits for the last results of the one before, about
_START = 50  # of a run: its first instruction, and the last results on their way
_ISSUE = 6  # from the end of an instruction to the first word of the next one
_MEMORY = 30  # from the address of a burst to its first word, and what follows the last one
_NEVER = 255  # of `safe`


def _least(one: Layer, geometry: Any) -> int:
    """Cycles between two row groups: results leave a cluster element by element, and the clusters plane by plane."""
    if one.pool:
        return 0
    if one.raw:
        return 16 * one.levels
    return max(4 * one.levels, geometry["pe"] // 4 + one.out_bits, 8)


def _instruction_cycles(one: Instruction, geometry: Any) -> int:
    if not isinstance(one, Layer):
        return 0
    cycles = one.rows * max(one.passes * one.taps, _least(one, geometry))
    return cycles + (0 if one.safe == _NEVER else max(0, _LATENCY - one.safe))


def layer_cycles(parts: Sequence[Part], geometry: Any) -> dict[int, int]:
    """Cycles of a group by layer of the network, loads that hide behind layers not counted."""
    found: dict[int, int] = {}
    for part in parts:
        for layer, one in part.instructions:
            if layer is not None:
                found[layer] = found.get(layer, 0) + _instruction_cycles(one, geometry)
    return found


def part_cycles(part: Part, geometry: Any, groups: int) -> int:
    """Cycles of a program for so many groups."""
    seen = [_timeline(part, geometry, min(groups, count)) for count in (2, 3)]
    return _START + seen[1] + max(0, groups - 3) * (seen[1] - seen[0])


def _timeline(part: Part, geometry: Any, groups: int) -> int:
    """When a few groups are over: layers one behind the other, loads and stores beside them."""
    now = loads = stores = 0
    for group in range(groups):
        for _, one in part.instructions:
            if one.flags.first and group or one.flags.next and group == groups - 1:
                continue
            if one.flags.wait_load:
                now = max(now, loads)
            if one.flags.wait_store:
                now = max(now, stores)
            now += _ISSUE
            if isinstance(one, Load):
                loads = max(loads, now) + _MEMORY + one.words
            elif isinstance(one, Store):
                now = max(now, stores)
                stores = now + _MEMORY + one.words * geometry["vectors"]
            elif isinstance(one, Layer):
                now += _instruction_cycles(one, geometry)
    return max(now, loads, stores)


def part_least(part: Part, groups: int) -> int:
    """Cycles that no circuit of this kind can do without: a word of each layer in one."""
    return groups * part.cycles


def plan_rows(compiled: Compiled, geometry: Any) -> tuple[LayerPlan, ...]:
    """The plan of a network, layer by layer; numbers of a picture of a full group."""
    cycles = layer_cycles(compiled.parts, geometry)
    vectors = geometry["vectors"]
    rows = []
    for step in compiled.steps:
        mine = [one for part in compiled.parts for layer, one in part.instructions if layer == step.layer]
        # Loads for the next group are those of the first one again.
        loads = 8 * sum(one.words for one in mine if isinstance(one, Load) and not one.flags.next)
        stores = 8 * vectors * sum(one.words for one in mine if isinstance(one, Store))
        layers = [one for one in mine if isinstance(one, Layer)]
        late = any(_least(one, geometry) > one.passes * one.taps for one in layers)
        moved = (loads + stores) // 8 > cycles[step.layer]
        work = step.macs * step.weight_bits * step.in_bits * vectors
        room = cycles[step.layer] * geometry["pe"] * vectors * geometry["lanes"]
        held = {(one.w_base, one.row_groups * one.w_row) for one in layers if not one.pool}
        rows.append(LayerPlan(
            step.layer, step.name, cycles[step.layer] / vectors, work / room if room else 0.0,
            sum(words for _, words in held), loads / vectors, stores / vectors,
            "memory" if moved else "results" if late else "array"))
    return tuple(rows)
