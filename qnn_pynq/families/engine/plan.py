"""What a network costs on the engine by the model of its cycles, layer by layer: for profiles, deadlines, tables."""

from __future__ import annotations

from typing import Any, Sequence

from ...contracts.driver import LayerPlan
from .compiler import Compiled, Part
from .pace import group_waits, instruction_cycles, program_cycles, results_cycles
from .program import Layer, Load, Store

__all__ = ["layer_cycles", "part_cycles", "part_least", "plan_rows"]


def layer_cycles(parts: Sequence[Part], geometry: Any) -> dict[int, int]:
    """Cycles of a group by layer of the network, with those that it waits for loads; of a group amid a large batch."""
    found: dict[int, int] = {}
    for part in parts:
        for layer, one in part.instructions:
            if layer is not None:
                found[layer] = found.get(layer, 0) + instruction_cycles(one, geometry)
        for layer, cycles in group_waits(part.instructions, geometry).items():
            if layer is not None:
                found[layer] = found.get(layer, 0) + cycles
    return found


def part_cycles(part: Part, geometry: Any, groups: int) -> int:
    """Cycles of a program for so many groups."""
    return program_cycles(part.instructions, geometry, groups)


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
        # What is loaded for the first group alone is loaded for the next ones behind.
        loads = 8 * sum(one.words for one in mine if isinstance(one, Load) and not one.flags.first)
        stores = 8 * vectors * sum(one.words for one in mine if isinstance(one, Store))
        layers = [one for one in mine if isinstance(one, Layer)]
        late = any(results_cycles(one, geometry) > one.passes * one.taps for one in layers)
        fed = sum(instruction_cycles(one, geometry) for one in layers)
        moved = (loads + stores) // 8 > fed or 2 * fed < cycles[step.layer]
        work = step.macs * step.weight_bits * step.in_bits * vectors
        room = cycles[step.layer] * geometry["pe"] * vectors * geometry["lanes"]
        rows.append(LayerPlan(
            step.layer, step.name, cycles[step.layer] / vectors, work / room if room else 0.0,
            compiled.held.get(step.layer, 0), loads / vectors, stores / vectors,
            "memory" if moved else "results" if late else "array"))
    return tuple(rows)
