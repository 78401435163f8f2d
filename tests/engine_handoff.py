"""The engine's overlay as it is shipped, with files beside its descriptor, for tests: a bitstream of nothing."""
from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from bitfiles import bit_file

from qnn_pynq.catalogue import overlays
from qnn_pynq.overlay import load_overlay

__all__ = ["bitstream", "handoff", "ship", "shipped_overlay"]

FOLDER = Path(__file__).resolve().parents[1] / "overlays" / "engine"

if not (FOLDER / "handoff.py").is_file():
    pytest.skip("handoff.py is in the checkout alone", allow_module_level=True)
sys.path.insert(0, str(FOLDER))

import handoff  # noqa: E402
import ship  # noqa: E402

DESCRIPTOR = overlays()["engine-z7020"] / "overlay.json"


def bitstream() -> bytes:
    """A .bit as xc7frames2bit writes it, of hardly any frames."""
    return bit_file("seed-1.frames;Generator=xc7frames2bit", "xc7z020clg400-1")


def shipped_overlay(folder: Path, **changes: Any) -> Any:
    """The shipped descriptor with these fields, and engine.bit and engine.hwh beside it."""
    document = {**json.loads(DESCRIPTOR.read_text()), **changes, "files": {}}
    folder.mkdir()
    path = folder / "overlay.json"
    path.write_text(json.dumps(document))
    texts = {"bitstream": ("engine.bit", bitstream()),
             "hwh": ("engine.hwh", handoff.handoff(load_overlay(path)).encode("utf-8"))}
    for key, (name, contents) in texts.items():
        (folder / name).write_bytes(contents)
        document["files"][key] = {"name": name, "size": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}
    path.write_text(json.dumps(document))
    return load_overlay(path)
