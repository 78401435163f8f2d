#!/usr/bin/env python3
"""How much of the engine's Verilog the simulated board has exercised: a table, and what is left.

usage: QNN_PYNQ_RTL_COVERAGE=FOLDER tools/engine_campaign.py --board rtl --sizes 4x2 --cases 100 --hostile 100
       tools/engine_coverage.py FOLDER [--write docs/engine.md]

Counts of all files in the folder are added. A toggle is a bit of a signal that has been seen to rise and to fall.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Iterable, NamedTuple, Sequence

from campaign import write_between

__all__ = ["Point", "main", "read_points", "table"]

_LINE = re.compile(r"C '(.*)' (\d+)$")
_KINDS = ("line", "branch", "toggle")


class Point(NamedTuple):
    """Something that can be covered."""

    kind: str
    file: str
    line: int
    what: str


def read_points(paths: Iterable[Path]) -> Counter[Point]:
    """Points of Verilator's coverage files, and how often each was passed, in all instances of a module."""
    points: Counter[Point] = Counter()
    for path in paths:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            found = _LINE.match(line)
            if found:
                fields = dict(part.split("\2", 1) for part in found.group(1).split("\1") if "\2" in part)
                kind = fields.get("page", "").partition("/")[0].replace("v_", "")
                point = Point(kind, Path(fields.get("f", "")).name, int(fields.get("l", 0)), fields.get("o", ""))
                points[point] += int(found.group(2))
    return points


def table(points: Counter[Point]) -> str:
    """Covered and all points of each file, and what is not covered: bits of one signal together."""
    files = sorted({point.file for point in points})
    lines = ["| file | " + " | ".join(_KINDS) + " |", "|---|" + "---:|" * len(_KINDS)]
    for name in [*files, "all"]:
        cells = []
        for kind in _KINDS:
            counts = [count for point, count in points.items() if point.kind == kind and name in (point.file, "all")]
            covered = sum(count > 0 for count in counts)
            share = f" ({covered / len(counts):.1%})" if name == "all" and counts else ""
            cells.append(f"{covered:,} of {len(counts):,}{share}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    left: Counter[str] = Counter()
    for point, count in points.items():
        if not count:
            left[f"{point.file}:{point.line} " + re.sub(r"\[\d+\]$", "", point.what)] += 1
    lines += ["", "Not covered (bits): " + ", ".join(f"{what} ({bits})" for what, bits in sorted(left.items())) + "."]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    points = read_points(sorted(options.folder.glob("*.dat")))
    if not points:
        parser.error(f"{options.folder} has no coverage: expected *.dat of a simulated board")
    text = table(points)
    print(text)
    if options.write:
        write_between(options.write, "engine coverage", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
