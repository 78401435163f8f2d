"""Where the engine's block RAMs go: for nextpnr-himbaechel --pre-place, which runs it with `ctx`.

Left to itself the placer scatters an element's block RAMs over the chip, and the wires between them and its popcounts
(64 bits, twice) congest: docs/engine.md has the figures. Here each cluster has a zone of its own in two columns of block
RAM, in the order of the chain, and the banks lie beside the processor's ports. Everything else is left to the placer.
"""
from __future__ import annotations

import os

__all__ = ["plan"]

# Grid of an xc7z020: columns that have block RAM in all three rows of clock regions, or in the last one only; and the
# tiles of a column's 30 block RAMs of 36 Kb.
LEFT, RIGHT, CORNER = (59, 93), (138, 167), (19, 48)
TILES = [5 + 52 * region + 5 * k + (k > 4) for region in range(3) for k in range(10)]

# Of each cluster: columns and first tile of its weights, column and tile of its thresholds.
ZONES = {
    16: [(LEFT, 11, 59, 18), (LEFT, 20, 59, 27), (RIGHT, 20, 138, 27), (RIGHT, 11, 138, 18)],
    32: [(LEFT, 10, 59, 16), (LEFT, 17, 59, 23), (CORNER, 21, 19, 27), (LEFT, 24, 93, 23),
         (RIGHT, 22, 138, 28), (RIGHT, 15, 138, 21), (RIGHT, 8, 138, 14), (RIGHT, 1, 138, 7)],
}


def plan(elements: int, vectors: int) -> dict[str, tuple[int, int]]:
    """Tile (x, y) of the block RAM in which each of these parts of a cell's name occurs."""
    places = {}
    for cluster, ((left, right), first, column, tile) in enumerate(ZONES[elements]):
        chain = f"chain[{cluster}].n."
        for element in range(4):
            parts = ["first.slice[0].", "first.slice[1].", "rest.second.slice[0]."]
            for k, part in enumerate(parts):
                place = (left, right)[element // 2], TILES[first + 3 * (element % 2) + k]
                places[f"{chain}pe[{element}].m.m.{part}"] = place
        places[f"{chain}memory."] = column, TILES[tile]
    for vector in range(vectors):
        for k in range(20 // vectors - 1):
            places[f"vector[{vector}].b.m.first.slice[{k}]."] = LEFT[vector // 2], TILES[5 * (vector % 2) + k]
    return places


if "ctx" in globals():
    wanted = plan(int(os.environ["ELEMENTS"]), int(os.environ["VECTORS"]))
    for name, cell in ctx.cells:  # type: ignore[name-defined]  # noqa: F821 (nextpnr's)
        for part, (x, y) in wanted.items():
            if part in name and cell.type.startswith("RAMB36"):
                cell.setAttr("BEL", f"X{x}Y{y}/RAMB36_X0Y0.RAMB36E1")
