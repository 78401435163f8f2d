"""FASM, the text of features that a bitstream is made from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator

from .database import feature_name
from .errors import ReadbackError

__all__ = ["read_fasm"]

LINE = re.compile(r"(\w+)\.([\w.]+)(?:\[(\d+)(?::(\d+))?\])?(?:\s*=\s*(?:\d+'b([01_]+)|([01])))?\s*")


def read_fasm(path: Path) -> Iterator[tuple[str, str]]:
    """Tile and feature of each bit that the text sets."""
    with path.open() as lines:
        for number, line in enumerate(lines, 1):
            line = line.split("#")[0].strip()
            if not line or line.startswith("{"):
                continue
            match = LINE.fullmatch(line)
            if not match:
                raise ReadbackError(f"{path.name}, line {number} is not understood: {line[:60]!r}")
            tile, name, high, low, many, one = match.groups()
            if high is None:
                if one != "0":
                    yield tile, feature_name(name)
                continue
            first = int(low if low is not None else high)
            value = int((many or one or "1").replace("_", ""), 2)
            for index in range(int(high) - first + 1):
                if value >> index & 1:
                    yield tile, f"{name}[{first + index}]"
