"""Where the engine's parts go: for nextpnr-himbaechel --pre-place, which runs it with `ctx`.

Left to itself the placer scatters an element's block RAMs over the chip and draws all clusters to the processor's side;
the wires congest (docs/engine.md has the figures). Here each cluster has a zone of its own, one behind the other as in
the chain: its block RAMs are placed, its flip-flops may not leave. The rest is left to the placer.
"""
from __future__ import annotations

import os
import re
from typing import NamedTuple

__all__ = ["Zone", "plan", "zones"]

# Tiles of the 30 block RAMs of 36 Kb of a column of an xc7z020's grid. Columns 59, 93, 138 and 167 have all of them,
# 19 and 48 (below the processor) the last ten.
TILES = [5 + 52 * region + 5 * k + (k > 4) for region in range(3) for k in range(10)]


class Zone(NamedTuple):
    """Block RAMs of elements 0 and 1, and of 2 and 3: column and first tile of each; of the thresholds; the rectangle."""

    left: tuple[int, int]
    right: tuple[int, int]
    thresholds: tuple[int, int]
    bounds: tuple[int, int, int, int]  # x0, y0, x1, y1


def tall(column: int, first: int, x0: int, y0: int, x1: int, y1: int) -> Zone:
    """13 block RAMs of one column."""
    return Zone((column, first), (column, first + 7), (column, first + 6), (x0, y0, x1, y1))


def zones(elements: int) -> list[Zone]:
    """The zone of each cluster."""
    if elements <= 16:
        return [Zone((59, 11), (93, 11), (59, 18), (51, 54, 125, 104)), Zone((59, 21), (93, 21), (59, 28), (51, 105, 125, 156)),
                Zone((138, 16), (167, 16), (138, 23), (126, 79, 180, 156)), Zone((138, 6), (167, 6), (138, 13), (126, 0, 180, 78))]
    return [Zone((19, 21), (48, 21), (19, 28), (8, 105, 50, 156)),
            tall(59, 17, 51, 79, 87, 156), tall(93, 17, 88, 79, 125, 156), tall(93, 0, 88, 0, 125, 78),
            tall(138, 0, 126, 0, 155, 78), tall(138, 17, 126, 79, 155, 156),
            tall(167, 17, 156, 79, 180, 156), tall(167, 0, 156, 0, 180, 78)]


def plan(elements: int, vectors: int) -> dict[str, tuple[int, int]]:
    """Tile (x, y) of the block RAM in which each of these parts of a cell's name occurs."""
    places = {}
    for cluster, zone in enumerate(zones(elements)[:elements // 4]):
        chain = f"chain[{cluster}].n."
        for element in range(4):
            column, first = (zone.left, zone.right)[element // 2]
            for k, part in enumerate(("first.slice[0].", "first.slice[1].", "rest.second.slice[0].")):
                places[f"{chain}pe[{element}].m.m.{part}"] = column, TILES[first + 3 * (element % 2) + k]
        places[f"{chain}memory."] = zone.thresholds[0], TILES[zone.thresholds[1]]
    for vector in range(vectors):
        for k in range(16 // max(vectors, 4)):
            places[f"vector[{vector}].b.m.first.slice[{k}]."] = (
                (59, TILES[16 // vectors * vector + k]) if elements == 32
                else ((59, 93)[vector // 2], TILES[5 * (vector % 2) + k]))
    # the buffers of loader and storer and the program, next to the processor's ports
    for k, part in enumerate(("e.l.buffer.", "e.w.buffer.", "e.s.memory.0.0", "e.s.memory.0.1")):
        places[part] = (93, TILES[13 + k]) if elements == 32 else ((59, 93)[k // 2], TILES[4 + 5 * (k % 2)])
    return places


if "ctx" in globals():
    size = int(os.environ["ELEMENTS"])
    wanted = plan(size, int(os.environ["VECTORS"]))
    for cluster, zone in enumerate(zones(size)):
        ctx.createRectangularRegion(f"cluster{cluster}", *zone.bounds)  # type: ignore[name-defined]  # noqa: F821 (nextpnr's)
    for name, cell in ctx.cells:  # type: ignore[name-defined]  # noqa: F821
        within = re.search(r"\bchain\[(\d+)\]\.n\.", name)
        if cell.type.startswith("RAMB36"):
            part = next((part for part in wanted if part in name), None)
            if part:  # of a slice that takes several only the first
                x, y = wanted.pop(part)
                cell.setAttr("BEL", f"X{x}Y{y}/RAMB36_X0Y0.RAMB36E1")
        elif within and cell.type in ("SLICE_FFX", "SLICE_LUTX"):
            ctx.constrainCellToRegion(name, f"cluster{within.group(1)}")  # type: ignore[name-defined]  # noqa: F821
