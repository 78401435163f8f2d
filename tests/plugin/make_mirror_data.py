"""Writes the plug-in's overlay and networks (package/qnn_pynq_mirror/data), answers included. Plain numpy and json.

    python tests/plugin/make_mirror_data.py [FOLDER]
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import mirror_oracle
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bitfiles import bit_file  # noqa: E402

OVERLAY = "mirror-8x8"
HWH = """<?xml version="1.0" encoding="UTF-8"?>
<EDKSYSTEM><MODULES><MODULE INSTANCE="comparator_0" MODTYPE="comparator"/></MODULES></EDKSYSTEM>
"""
NAMES = ("cross", "ring", "stripes", "wedge", "dot")


def dump(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def write_overlay(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for key, name, content in (("bitstream", "mirror.bit", bit_file("mirror.frames;Generator=xc7frames2bit")),
                               ("hwh", "mirror.hwh", HWH.encode("utf-8"))):
        (folder / name).write_bytes(content)
        files[key] = {"name": name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    dump(folder / "overlay.json", {
        "format": "qnn-pynq-overlay",
        "version": 1,
        "name": OVERLAY,
        "title": "Comparator of 8 x 8 pictures",
        "description": "An invented circuit: sums of absolute differences of a picture from up to 16 templates",
        "kind": "mirror",
        "boards": ["Pynq-Z1", "Pynq-Z2"],
        "ip": {"name": "comparator_0", "vlnv": "example.org:user:comparator:1.0", "address": "0x43C00000",
               "range": "0x1000"},
        "clock_mhz": 100,
        "files": files,
        "geometry": {"picture": [8, 8], "templates": 16, "images": 96},
        "timing": {"model": True, "setup_cycles": 200, "cycles_per_template": 64, "access_ns": 100,
                   "source": "invented, like the circuit"},
        "verified": {"silicon": "never built"},
        "home": {"repository": "none: the files are dummies, of no frame"},
    })


def write_network(folder: Path, name: str, mirror: bool, seed: int) -> None:
    """With `mirror`: mirror, absdiff, weigh. Without: absdiff alone."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.RandomState(seed)
    templates = mirror_oracle.glyphs()
    offsets = rng.randint(-500, 500, len(templates)).astype(np.int32)
    factors = np.array([1, 0.75, 1.25, 1, 0.5], np.float32)
    at = 1 if mirror else 0
    np.save(str(folder / f"layer{at}-templates.npy"), mirror_oracle.mirrored(templates) if mirror else templates)
    np.save(str(folder / f"layer{at}-offsets.npy"), offsets)
    layers = [{"type": "absdiff", "outputs": len(templates), "size": [8, 8],
               "templates": f"layer{at}-templates.npy", "offsets": f"layer{at}-offsets.npy"}]
    if mirror:
        np.save(str(folder / "layer2-factors.npy"), factors)
        layers = [{"type": "mirror", "axis": 1}, *layers, {"type": "weigh", "factors": "layer2-factors.npy"}]
    dump(folder / "network.json", {
        "format": "qnn-pynq-network",
        "version": 1,
        "name": name,
        "title": "Five marks",
        "description": "Templates of five drawn marks; nothing was trained",
        "overlays": [OVERLAY],
        "input": {"size": [8, 8], "channels": 1, "polarity": "as-is", "encoding": {"kind": "pixels"}},
        "layers": layers,
        "decode": {"rule": "largest-sum", "scale": 0.002},
        "classes": list(NAMES),
        "selftest": "selftest.npz",
        "provenance": {"dataset": "drawn marks", "licence": "BSD-3-Clause"},
    })
    pictures, _ = mirror_oracle.noisy(templates, 24, seed + 1)
    pictures = np.concatenate([pictures, rng.randint(0, 256, (8, 8, 8)).astype(np.uint8)])
    # Turned pictures are compared with turned templates: the same sums as of neither.
    found = mirror_oracle.sums(pictures, templates, offsets)
    scores = found * factors.astype(np.float64) if mirror else found
    np.savez(str(folder / "selftest.npz"), pictures=pictures.reshape(len(pictures), -1), sums=found,
             classes=scores.argmax(axis=1).astype(np.int64))


def main(folder: Path) -> None:
    write_overlay(folder / OVERLAY)
    write_network(folder / "mirror-marks", "mirror-marks", True, 1)
    write_network(folder / "plain-marks", "plain-marks", False, 2)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "package" / "qnn_pynq_mirror" / "data")
