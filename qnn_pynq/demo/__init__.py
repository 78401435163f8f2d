"""Demo pictures that we drew: digits and garments, ten of each class (see tools/draw_demo.py)."""
from __future__ import annotations

import json
from pathlib import Path

from ..errors import NotFoundError

__all__ = ["DATASETS", "pictures"]

_HERE = Path(__file__).resolve().parent

DATASETS = ("mnist", "fashion-mnist")


def pictures(dataset: str) -> list[tuple[Path, str]]:
    """The demo pictures for networks of a data set.

    Parameters
    ----------
    dataset : {"mnist", "fashion-mnist"}

    Returns
    -------
    list of (path, class name)
    """
    if dataset not in DATASETS:
        raise NotFoundError("no demo pictures for {!r}: there are some for {}".format(dataset, " and ".join(DATASETS)))
    entries = json.loads((_HERE / "index.json").read_text(encoding="utf-8"))["pictures"]
    return [(_HERE / entry["file"], entry["label"]) for entry in entries if entry["dataset"] == dataset]
