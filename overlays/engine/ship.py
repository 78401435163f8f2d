"""Put what the build made beside an overlay's descriptor, and say in the descriptor what it is.

    python overlays/engine/ship.py overlays/engine/build/32x2 engine-z7020-32x2 --tool "frames: prjxray 769bbe2"

Takes engine.bit, and of the seed that was chosen nextpnr's report and the first lines of its log. Writes engine.bit,
engine.hwh, report.json (cells, paths), and in overlay.json their digests, that of the Verilog, the tools, and the build
number, which the circuit shows in its register BUILD.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))
import handoff  # noqa: E402

from qnn_pynq.catalogue import check_right  # noqa: E402

__all__ = ["build_number", "digest_of_sources", "endpoints", "ship"]

PARTS = {"s": "sequencer", "n": "nest", "l": "loader", "w": "storer", "r": "registers", "d": "drain", "a": "array",
         "vector": "banks and pools", "ps": "processor's ports"}


def digest_of_sources(folder: Path) -> str:
    """SHA-256 of all Verilog in a folder, one file behind the other in the order of their names."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.v")))).hexdigest()


def build_number(digest: str) -> int:
    """What the circuit shows in BUILD: the first seven digits."""
    return int(digest[:7], 16)


def part_of(cell: str) -> str:
    """The part of the design that a cell belongs to, by its name after flattening."""
    found = re.match(r"(?:\$flatten)?\\?e\.\\?(\w+)", cell) or re.match(r"(ps)\b", cell)
    return PARTS.get(found.group(1), "rest") if found else "rest"


def endpoints(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By part: how many endpoints of paths, and nanoseconds from the clock's source to the one that is reached last."""
    found: dict[str, dict[str, Any]] = {}
    for net in report["detailed_net_timings"]:
        for end in net["endpoints"]:
            part = found.setdefault(part_of(end["cell"]), {"endpoints": 0, "slowest_ns": 0.0})
            part["endpoints"] += 1
            part["slowest_ns"] = round(max(part["slowest_ns"], end["delay"][1]), 2)
    return dict(sorted(found.items()))


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """What is kept of nextpnr's report."""
    (clock,) = report["fmax"].values()
    path = [(step["from"]["cell"], step["to"]["cell"], step["type"], round(step["delay"], 2))
            for step in report["critical_paths"][0]["path"]]
    return {
        "mhz": round(clock["achieved"], 2),
        "asked_mhz": clock["constraint"],
        "not_modelled": "delays of PS7, hold, clock skew, temperature and voltage; one corner of routing delays",
        "endpoints": endpoints(report),
        "critical_path": [f"{delay:5.2f} ns  {kind:8} {start} -> {end}" for start, end, kind, delay in path],
        "cells": {name: each["used"] for name, each in sorted(report["utilization"].items()) if each["used"]},
    }


def ship(build: Path, overlay: Path, tools: dict[str, str]) -> None:
    """Write the files beside `overlay`/overlay.json, and their facts into it."""
    path = overlay / "overlay.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    seed = (build / "seed").read_text().strip()
    report = summary(json.loads((build / f"seed-{seed}.json").read_text()))
    (overlay / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    digest = digest_of_sources(FOLDER / "rtl")
    rtl = document["rtl"]
    rtl["parameters"]["BUILD"] = build_number(digest)
    rtl["sha256"] = digest
    rtl["built"] = {**tools, "seed": seed}
    shutil.copyfile(build / "engine.bit", overlay / "engine.bit")
    document["files"] = {}
    save(path, document)
    text = handoff.handoff(handoff.load_overlay(path))
    (overlay / "engine.hwh").write_text(text, encoding="utf-8")
    for key, name in (("bitstream", "engine.bit"), ("hwh", "engine.hwh")):
        contents = (overlay / name).read_bytes()
        document["files"][key] = {"name": name, "size": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}
    save(path, document)
    check_right(handoff.load_overlay(path), {"bitstream": overlay / "engine.bit", "hwh": overlay / "engine.hwh"})


def save(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path, help="folder of the Makefile's results")
    parser.add_argument("overlay", help="name of a folder of overlays/")
    parser.add_argument("--tool", action="append", default=[], metavar="NAME: VERSION",
                        help="may be given several times")
    given = parser.parse_args()
    tools = dict(re.split(r":\s*", text, maxsplit=1) for text in given.tool)
    ship(given.build, FOLDER.parent / given.overlay, tools)


if __name__ == "__main__":
    main()
