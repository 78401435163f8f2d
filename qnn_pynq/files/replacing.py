"""A file written whole or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator

__all__ = ["replace_text", "replacing"]


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` once it is written; where that fails, what was there stays."""
    partial = Path(f"{path}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # the name must not reach the disk before the data
        os.replace(str(partial), str(path))
    except BaseException:
        try:
            partial.unlink()
        except OSError:
            pass
        raise


def replace_text(path: Path, text: str) -> None:
    """The same for a text, in UTF-8."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))
