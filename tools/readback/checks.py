"""What a bitstream must satisfy, as numbers for a report."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from .database import Database
from .fasm import read_fasm
from .features import Features
from .netlist import Extractor
from .packets import Bitstream, sequence

__all__ = ["against_fasm", "against_stream", "cells", "required"]

SHOWN = 20  # of a list, in a report
FLOP = re.compile(r"SLICE[LM]_X[01]\.[ABCD]5?FFMUX\.")


def required(database: Database) -> dict[str, set[str]]:
    """Features that every bitstream of the part has, by tile."""
    path = database.folder / database.name / "required_features.fasm"
    found: dict[str, set] = {}
    for tile, name in read_fasm(path) if path.exists() else ():
        found.setdefault(tile, set()).add(name)
    return found


def against_fasm(database: Database, features: Features, path: Path) -> dict[str, Any]:
    """Features of the text that did not come back though they own bits, and those that came back unasked."""
    asked: dict[str, set] = {}
    pseudo = 0
    for tile, name in read_fasm(path):
        asked.setdefault(tile, set()).add(name)
    lost: list[str] = []
    for tile, names in asked.items():
        without = database.type(database.grid[tile]["type"]).pseudo
        here = features.tiles.get(tile, set()) | features.implied.get(tile, set())
        for name in names - here:
            if name in without:
                pseudo += 1
            else:
                lost.append(f"{tile}.{name}")
    always = required(database)
    unasked = [f"{tile}.{name}" for tile, names in features.tiles.items()
               for name in names - asked.get(tile, set()) - always.get(tile, set())]
    return {"asked": sum(map(len, asked.values())), "without bits": pseudo, "lost": sorted(lost),
            "unasked": sorted(unasked)}


def against_stream(ours: Bitstream, other: Bitstream) -> list[str]:
    """Where two streams of packets differ, but for the digest that one of them may have."""
    one, two = sequence(ours), sequence(other)
    found = [f"{len(one)} writes, not {len(two)}"] if len(one) != len(two) else []
    for mine, theirs in zip(one, two):
        if mine != theirs and {mine.split()[0], theirs.split()[0]} != {"CRC"} and not (
                mine == "CMD RCRC" and theirs.startswith("CRC ")):
            found.append(f"{mine}, not {theirs}")
    return found


def cells(extractor: Extractor, features: Features) -> dict[str, Any]:
    """Cells by type, modes of block RAMs, and what is set up though no output depends on it."""
    modes: Counter[str] = Counter()
    halves = 0
    for cell in extractor.cells:
        if cell.kind.startswith("RAMB"):
            halves += 2 if cell.kind == "RAMB36E1" else 1
            shown = ("RAM_MODE", "READ_WIDTH_A", "WRITE_WIDTH_A", "READ_WIDTH_B", "WRITE_WIDTH_B", "WRITE_MODE_A",
                     "WRITE_MODE_B")
            values = [cell.parameters[name].strip('"') for name in shown]
            modes[f"{cell.kind} " + " ".join(f"{name}={value}" for name, value in zip(shown, values))] += 1
    kinds = Counter(cell.kind for cell in extractor.cells)
    flops = sum(1 for names in features.tiles.values() for name in names if FLOP.match(name))
    used = sum(1 for names in features.tiles.values() for name in names if re.match(r"RAMB18_Y[01]\.IN_USE", name))
    return {"by type": dict(kinds.most_common()), "block RAMs": dict(modes),
            "flip-flops that nothing reads": flops - kinds["FDRE"] - kinds["FDSE"],
            "halves of block RAMs that nothing reads": used - halves}
