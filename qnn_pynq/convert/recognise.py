"""What a folder of published parameters is: whose files it holds, told by their names and sizes."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path
from typing import Iterator

__all__ = ["foreign", "lists_below", "parameters_below", "parameters_of"]

_FILE = re.compile(r"(\d{1,3})-(\d{1,3})-(?:weights|thres)\.bin\Z")
# PEs of each layer.
_LAYOUTS = {
    "lfc": (32, 64, 32, 16),
    "cnvW1": (16, 32, 16, 16, 4, 1, 1, 1, 4),
    "cnvW2A2": (8, 16, 8, 8, 4, 1, 1, 2, 4),
}
_OFFLOAD_PES = 32
_ONE_THRESHOLD = 32  # bytes of 0-0-thres.bin in CNV W1A1
_MOST_FILES = 20000  # looked at in a folder
_MOST_FOLDERS = 500  # looked into
_DEPTH = 4  # of the folders below; from the checkout of a public home down to its parameters
_MOST_NAMED = 12


def parameters_of(folder: Path) -> str:
    """ "lfc", "cnvW1A1", "cnvW1A2", "cnvW2A2", "qnn-mo", or "" where no parameter file lies in the folder.

    Files that are missing or too many do not matter as long as no other kind has more of its own.
    """
    found = set()
    for name in _names(folder):
        match = _FILE.match(name)
        if match is not None:
            found.add((int(match.group(1)), int(match.group(2))))
    if not found:
        return ""
    runs = {layer for layer, _ in found}
    wanted = {
        kind: {(layer, pe) for layer, count in enumerate(counts) for pe in range(count)}
        for kind, counts in _LAYOUTS.items()
    }
    wanted["qnn-mo"] = {(run, pe) for run in runs for pe in range(_OFFLOAD_PES)}
    kind = min(wanted, key=lambda key: len(wanted[key] ^ found))
    if kind != "cnvW1":
        return kind
    sizes = (_size(folder / f"0-{pe}-thres.bin") for pe in range(_LAYOUTS[kind][0]))
    return "cnvW1A2" if any(size > _ONE_THRESHOLD for size in sizes) else "cnvW1A1"


def foreign(folder: Path) -> str:
    """Which parameters a folder holds that is none of an LFC overlay's, and what to do; "" for an LFC one."""
    kind = parameters_of(folder)
    if kind == "lfc":
        return ""
    if kind.startswith("cnv"):
        what = f"holds the parameters of {kind} (nine layers, for pictures of 32 x 32 in colour)"
        return f"{what}: only those of the LFC overlays (lfcW1A1, lfcW1A2) can be imported"
    if kind == "qnn-mo":
        what = "holds the parameters of a QNN-MO-PYNQ network (32 PEs a run)"
        return f"{what}: import it as qnn-mo, by the layer list (*-layers.json) beside it"
    if any(name.endswith("-layers.json") for name in _names(folder)):
        return "holds a layer list of QNN-MO-PYNQ: import it as qnn-mo"
    below = parameters_below(folder)
    if not below:
        return "holds no parameters: expected files 0-0-weights.bin, 0-0-thres.bin and so on"
    more = "" if len(below) <= _MOST_NAMED else f" and {len(below) - _MOST_NAMED} more"
    named = ", ".join(f"{place} ({what})" for place, what in below[:_MOST_NAMED])
    what = f"holds no parameters itself, but folders with some: {named}{more}"
    ours = next((place for place, kind in below if kind == "lfc"), None)
    if ours is None:
        return f"{what}; none is of an LFC overlay (lfcW1A1, lfcW1A2), and only those can be imported"
    return f"{what}; pass one of an LFC overlay, such as {folder / ours}"


def parameters_below(folder: Path) -> list[tuple[str, str]]:
    """(path below `folder`, what `parameters_of` says) of each parameter folder there, by path."""
    found = [(str(place.relative_to(folder)), parameters_of(place)) for place in _folders_below(folder)]
    return sorted(item for item in found if item[1])


def lists_below(folder: Path, ending: str) -> list[str]:
    """Files below `folder` whose names end so, at most twelve, by path."""
    found = [
        str((place / name).relative_to(folder))
        for place in _folders_below(folder)
        for name in _names(place)
        if name.endswith(ending)
    ]
    return sorted(found)[:_MOST_NAMED]


def _folders_below(folder: Path) -> Iterator[Path]:
    """The nearest folders first; links are not followed."""
    waiting = [(folder, 0)]
    for _ in range(_MOST_FOLDERS):
        if not waiting:
            return
        place, depth = waiting.pop(0)
        if depth:
            yield place
        if depth < _DEPTH:
            waiting += [(place / name, depth + 1) for name in sorted(_inner(place))]


def _inner(folder: Path) -> Iterator[str]:
    """Names of the folders in a folder, hidden ones and links apart."""
    for name in _names(folder):
        place = folder / name
        if not name.startswith(".") and os.path.isdir(place) and not os.path.islink(place):
            yield name


def _names(folder: Path) -> Iterator[str]:
    """Names of what lies in a folder, as far as it can be read."""
    try:
        with os.scandir(str(folder)) as entries:
            yield from (entry.name for entry in islice(entries, _MOST_FILES))
    except (OSError, ValueError):  # not ours to read, or a NUL in the path
        return


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
