"""How far a transfer, or anything else that takes long, has come, told on a terminal."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["Progress"]


class Progress:
    """A tqdm bar, or a line of text every tenth, on a terminal; else nothing."""

    def __init__(self, name: str, total: int | None, have: int, wanted: bool, unit: str = "bytes") -> None:
        self._name, self._total, self._have, self._said, self._unit = name, total, have, 0, unit
        self._bar: Any = None
        self._text = False
        if wanted and sys.stderr is not None and sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                self._text = True
            else:
                self._bar = tqdm(desc=name, total=total, initial=have, leave=unit == "bytes", unit_scale=True,
                                 unit="B" if unit == "bytes" else f" {unit}")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, count: int) -> None:
        """`count` more have come."""
        self._have += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._text and self._total and self._have * 10 // self._total > self._said:
            self._said = self._have * 10 // self._total
            text = f"{self._name}: {self._have} of {self._total} {self._unit}"
            print(text, file=sys.stderr, flush=True)
