"""What the fuzzer's targets are made of: good files to begin with, and where they lie."""

from __future__ import annotations

import io
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any, Callable, NamedTuple

import numpy as np
from PIL import Image

__all__ = ["Target", "from_file", "made_folder", "memory_folder", "npy", "npz", "picture", "with_right_sums"]


class Target(NamedTuple):
    """`text`: the seeds are JSON. `weight`: its part of a campaign; slow readers get less."""

    name: str
    seeds: list[bytes]
    run: Callable[[bytes], Any]
    text: bool = False
    weight: float = 1.0


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def picture(kind: str, mode: str, side: int = 12, **options: Any) -> bytes:
    rng = np.random.RandomState(side)
    stream = io.BytesIO()
    picture = Image.fromarray(rng.randint(0, 256, (side, side, 3)).astype(np.uint8)).convert(mode)
    picture.save(stream, kind, **options)
    return stream.getvalue()


def made_folder(base: Path, name: str) -> Path:
    made = base / name
    made.mkdir()
    return made


def from_file(path: Path, read: Callable[[Path], Any]) -> Callable[[bytes], Any]:
    def run(data: bytes) -> Any:
        path.write_bytes(data)
        return read(path)

    return run


def with_right_sums(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums that they should have, so that what is behind them is met too."""
    found, at = bytearray(data), 8
    while at + 12 <= len(found):
        end = at + 8 + int.from_bytes(found[at:at + 4], "big")
        if end + 4 > len(found):
            break
        found[end:end + 4] = zlib.crc32(found[at + 4:end]).to_bytes(4, "big")
        at = end + 4
    return bytes(found)


def memory_folder() -> Any:
    """A temporary folder, in memory where there is one."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
