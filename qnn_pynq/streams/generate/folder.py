"""A folder for the circuit's author: C++, Tcl, the description as it was read, and vectors for the bench."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Mapping, Union

import numpy as np

from ...errors import InputError
from ...files.fields import write_json
from ...files.replacing import replace_text
from ..description import Description
from ..reading import Source, load_description
from ..values import check_array, encode
from .hls import compute_source, header_source, kernel_source
from .hls_bench import bench_source
from .tcl import block_design_source, hls_project_source

__all__ = ["generate", "vectors_text", "write_vectors"]

PathLike = Union[str, "os.PathLike[str]"]


def generate(source: Source, folder: PathLike) -> list[Path]:
    """Write the interface of a circuit.

    Parameters
    ----------
    source : path, dict or Description
    folder : path
        Made where it does not exist. Files of an earlier run are replaced, but for `<name>_compute.cpp`, which is the
        author's.

    Returns
    -------
    list of Path
        What was written.
    """
    description = load_description(source)
    name = description.name
    texts: dict[str, Callable[[Description], str]] = {
        name + ".json": lambda described: write_json(described.to_json()) + "\n",
        name + ".h": header_source,
        name + ".cpp": kernel_source,
        name + "_compute.cpp": compute_source,
        name + "_bench.cpp": bench_source,
        "hls.tcl": hls_project_source,
        "block_design.tcl": block_design_source,
    }
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise InputError(f"{place}: is a file; expected a folder, or a name that is free")
    place.mkdir(parents=True, exist_ok=True)
    written = []
    for file, make in texts.items():
        target = place / file
        if file == name + "_compute.cpp" and target.exists():
            continue
        replace_text(target, make(description))
        written.append(target)
    return written


def vectors_text(source: Source, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> str:
    """Known inputs and outputs as the C++ bench reads them: the words of each sample, in the order of the ports.

    Parameters
    ----------
    inputs, outputs : mapping of str to array
        (n, *shape) each, as `StreamOverlay.run` takes and gives them.

    Raises
    ------
    InputError
        A stream that is missing or unknown, another number of samples, or a value that its type does not hold.
    """
    description = load_description(source)
    given = {**inputs, **outputs}
    names = [stream.name for stream in description.streams]
    if sorted(given) != sorted(names):
        raise InputError("vectors of {}: expected one array for each of {}".format(
            ", ".join(map(str, given)) or "nothing", ", ".join(names)))
    words = []
    for stream in description.streams:
        array, single = check_array(stream, given[stream.name])
        if single or len(array) < 1:
            raise InputError(f"{stream.name}: shape {array.shape[single:]}: expected samples first, at least one")
        found = np.empty((len(array), stream.elements), stream.type.container)
        encode(stream, array, found)
        words.append(found.view(f"u{found.itemsize}"))
    counts = {len(array) for array in words}
    if len(counts) > 1:
        raise InputError(f"vectors of {sorted(counts)} samples: expected the same number for each stream")
    lines = [f"samples {len(words[0])}"]
    for number in range(len(words[0])):
        lines += [" ".join(map(str, array[number].tolist())) for array in words]
    return "\n".join(lines) + "\n"


def write_vectors(source: Source, folder: PathLike, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Path:
    """Write `vectors.txt` into the folder of `generate`; the bench then uses it."""
    target = Path(folder) / "vectors.txt"
    replace_text(target, vectors_text(source, inputs, outputs))
    return target
