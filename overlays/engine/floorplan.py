"""Where the engine's block RAMs go: for nextpnr-himbaechel --pre-place, which runs it with `ctx`.

Left to itself the placer scatters an element's block RAMs over the chip, and the wires between them and its popcounts
congest: docs/engine.md has the figures. Here each cluster has a zone of its own, one behind the other as in the chain,
and what loads and stores use lies beside the processor's ports. Everything else is left to the placer.
"""
from __future__ import annotations

import os

__all__ = ["plan"]

# Tiles of the 30 block RAMs of 36 Kb of a column of an xc7z020's grid. Columns 59, 93, 138 and 167 have all of them,
# 19 and 48 (below the processor) the last ten.
TILES = [5 + 52 * region + 5 * k + (k > 4) for region in range(3) for k in range(10)]

# Of each cluster, by the number of elements: column and first tile of each element's three, and of the thresholds.
WIDE = [((left, first), (left, first + 4), (right, first), (right, first + 4), (left, first + 3))
        for left, right, first in ((59, 93, 11), (59, 93, 21), (138, 167, 21), (138, 167, 11))]
TALL = [tuple([(column, first + k) for k in (0, 3, 7, 10, 6)])
        for column, first in ((59, 17), (93, 17), (93, 0), (138, 0), (138, 17), (167, 17), (167, 0))]
ZONES = {4: WIDE[:1], 16: WIDE, 32: [((19, 21), (19, 24), (48, 21), (48, 24), (19, 28)), *TALL]}


def plan(elements: int, vectors: int) -> dict[str, tuple[int, int]]:
    """Tile (x, y) of the block RAM in whose cell's name each of these occurs; of several the first."""
    places = {}
    for cluster, (*weights, thresholds) in enumerate(ZONES[elements]):
        for element, place in enumerate(weights):
            for k, part in enumerate(("first.slice[0]", "first.slice[1]", "rest.second.slice[0]")):
                places[f"chain[{cluster}].n.pe[{element}].m.m.{part}."] = place[0], place[1] + k
        places[f"chain[{cluster}].n.memory."] = thresholds
    for vector in range(min(vectors, 4)):
        for k in range(4):
            places[f"vector[{vector}].b.m.first.slice[{k}]."] = (
                (59, 4 * vector + k) if elements == 32 else ((59, 93)[vector // 2], 5 * (vector % 2) + k))
    # the buffers of loader and storer, and the program
    for k, part in enumerate(("e.l.buffer.", "e.w.buffer.", "e.s.memory.0.0", "e.s.memory.0.1")):
        places[part] = (93, 13 + k) if elements == 32 else ((59, 93)[k // 2], 4 + 5 * (k % 2))
    return {part: (column, TILES[tile]) for part, (column, tile) in places.items()}


if "ctx" in globals():
    wanted = plan(int(os.environ["ELEMENTS"]), int(os.environ["VECTORS"]))
    for name, cell in ctx.cells:  # type: ignore[name-defined]  # noqa: F821 (nextpnr's)
        found = next((part for part in wanted if part in name), None)
        if found and cell.type.startswith("RAMB36"):
            x, y = wanted.pop(found)
            cell.setAttr("BEL", f"X{x}Y{y}/RAMB36_X0Y0.RAMB36E1")
