"""What a caller gives for a path, as text; one of the library's errors for anything else."""

from __future__ import annotations

import os
from typing import Any

from ..errors import QnnError

__all__ = ["path_text", "shortened"]


def path_text(value: Any, problem: str, error: type[QnnError]) -> str:
    """`value`, a text or an object with ``__fspath__``, as text; else `error`: `problem`, {} for the value."""
    try:
        text = os.fspath(value)
    except Exception:  # of foreign classes, whatever theirs raises
        text = None
    if not isinstance(text, str):
        raise error(problem.format(shortened(repr(value))))
    return text


def shortened(text: str) -> str:
    """`text`, cut where no message has room for it."""
    return text if len(text) <= 200 else f"{text[:100]}... ({len(text)} characters)"
