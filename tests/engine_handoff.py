"""The engine's overlay as it is shipped, with files beside its descriptor, for tests: a bitstream of nothing."""
from __future__ import annotations

import hashlib
import json
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

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


def bitstream(words: int = 16) -> bytes:
    """A .bit: header of this part, sync word, IDCODE of an xc7z020, and no frame at all."""
    data = struct.pack(">5I", 0xFFFFFFFF, 0xAA995566, 0x20000000, 0x30018001, 0x03727093)
    data += struct.pack(">I", 0x20000000) * words
    head = bytes.fromhex("0009 0ff0 0ff0 0ff0 0ff0 00 0001")
    for key, text in ((b"a", "top;Version=2020.1"), (b"b", "7z020clg400"), (b"c", "2026/11/30"), (b"d", "12:00:00")):
        value = text.encode("ascii") + b"\0"
        head += key + struct.pack(">H", len(value)) + value
    return head + b"e" + struct.pack(">I", len(data)) + data


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
