"""QNN-MO-PYNQ parameter folders: `<run>-<pe>-weights.bin` and `<run>-<pe>-thres.bin`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import DescriptorError
from ..files.bounded import mebibytes

__all__ = ["RunParameters", "check_files", "read_run"]

_FILE = re.compile(r"(\d{1,9})-(\d{1,9})-(weights|thres)\.bin\Z")
_WORD = 8  # bytes
_MOST_RUN = 2 << 20  # bytes: what the memories of a circuit hold, see overlay_geometry


class RunParameters(NamedTuple):
    """What one run of the circuit loads, as `Conv` has it; `invert` is bool (outputs,)."""

    weights: np.ndarray
    thresholds: np.ndarray
    invert: np.ndarray


def check_files(folder: Path, first: int, stop: int, geometry: Any) -> None:
    """Refuse files of runs behind the last and of PEs that the overlay has not.

    Files below run `first` are those of layers in software; nobody reads them.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except (OSError, ValueError) as error:  # a NUL or half a character in the path
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        problem = "{!r} cannot be read: {}; expected a folder of {}-0-weights.bin and so on"
        raise DescriptorError(problem.format(str(folder), reason, first)) from error
    for name in names:
        match = _FILE.match(name)
        if match is None or int(match.group(1)) < first:
            continue
        if int(match.group(1)) >= stop:
            problem = "{} is one too many: the layers have runs {} to {}"
            raise DescriptorError(problem.format(folder / name, first, stop - 1))
        if int(match.group(2)) >= geometry["pe"]:
            problem = "{} is one too many: the overlay has {} PEs"
            raise DescriptorError(problem.format(folder / name, geometry["pe"]))


def read_run(folder: Path, run: int, inputs: int, outputs: int, kernel: int, geometry: Any) -> RunParameters:
    """Parameters of file index `run`.

    Channel r lies in row r // PEs of PE r % PEs. A weight word has 64 input channels of one kernel position,
    bit 1 = -1; an entry of thresholds has 16 bits each, and behind them a flag that inverts.

    Raises
    ------
    DescriptorError
        A file is missing or has another size than the layer and the overlay ask for.
    """
    pe, lanes = geometry["pe"], geometry["simd"]
    rows, tiles = -(-outputs // pe), -(-inputs // lanes)
    depth = geometry["threshold_bits"] // (8 * _WORD)
    words = _read_all(folder, run, "weights", pe, rows * kernel * kernel * tiles)
    entries = _read_all(folder, run, "thres", pe, rows * depth)
    weights = words.reshape(pe, rows, kernel, kernel, tiles).transpose(1, 0, 2, 3, 4)
    packed = np.ascontiguousarray(weights).view(np.uint8).reshape(rows * pe, kernel, kernel, tiles * lanes // 8)
    plus = ~packed[:outputs, :, :, : -(-inputs // 8)]
    if inputs % 8:
        plus[..., -1] &= (1 << inputs % 8) - 1
    # The upper word comes first.
    values = entries.reshape(pe, rows, depth)[:, :, ::-1].transpose(1, 0, 2)
    slots = np.ascontiguousarray(values).view("<i2").reshape(rows * pe, 4 * depth)[:outputs]
    count = 2 ** geometry["activation_bits"] - 1
    return RunParameters(
        np.ascontiguousarray(plus),
        np.ascontiguousarray(slots[:, :count].astype(np.int16)),
        (slots[:, count] & 1).astype(bool),
    )


def _read_all(folder: Path, run: int, what: str, pe: int, count: int) -> np.ndarray:
    """Every PE's file as uint64 (PEs, count)."""
    if _WORD * pe * count > _MOST_RUN:
        problem = "{}: run {} takes {} bytes of {}: expected at most {}"
        raise DescriptorError(problem.format(folder, run, _WORD * pe * count, what, mebibytes(_MOST_RUN)))
    words = np.empty((pe, count), "<u8")
    for index in range(pe):
        path = folder / f"{run}-{index}-{what}.bin"
        try:
            size = path.stat().st_size
            if size != _WORD * count or not path.is_file():
                problem = "{} has {} bytes: expected {}{}"
                raise DescriptorError(problem.format(path, size, _WORD * count, _hint(what, size, _WORD * count)))
            words[index] = np.fromfile(str(path), "<u8", count)
        except FileNotFoundError:
            problem = "{} is not there: run {} needs {} such files"
            raise DescriptorError(problem.format(path, run, pe)) from None
        except (OSError, ValueError) as error:
            if isinstance(error, DescriptorError):
                raise
            raise DescriptorError(f"{path} cannot be read: {str(error).lower()}") from error
    return words


def _hint(what: str, size: int, expected: int) -> str:
    if what == "thres" and size == 2 * expected:
        return "; thresholds of twice the width are those of W1A3 overlays"
    if what == "thres" and 2 * size == expected:
        return "; thresholds of half the width are those of W1A2 overlays"
    return ", by the layer's channels and kernel"
