"""What the layer types share in reading: arrays of a descriptor, bit weights, thresholds, bounds of sums."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence

import numpy as np

from ..contracts.layer import ArrayWriter
from ..files.fields import Fields, item_path
from ..files.npyfile import read_array

__all__ = ["INTEGERS", "MAX_CHANNELS", "WEIGHTS", "check_sums", "read_named", "read_padding", "read_signs",
           "read_thresholds", "write_arrays", "write_padding"]

INTEGERS = ("int16", "int32", "int64")
WEIGHTS = {1: "uint8", 8: "int8", 16: "int16", 32: "float32"}
MAX_CHANNELS = 1 << 14


def read_named(fields: Fields, key: str, folder: Path, dtypes: Sequence[str], shape: tuple[int, ...]) -> np.ndarray:
    """The array that the field `key` names."""
    return read_array(folder, fields.name(key), dtypes, shape, fields.source, item_path(fields.where, key))


def read_signs(fields: Fields, folder: Path, shape: tuple[int, ...], inputs: int) -> np.ndarray:
    """Bit weights uint8 (*shape, ceil(inputs / 8)) whose pad bits are 0."""
    count = (inputs + 7) // 8
    weights = read_named(fields, "weights", folder, ("uint8",), shape + (count,))
    pad = 8 * count - inputs
    if pad:
        wrong = (weights[..., -1] >> (8 - pad)).reshape(shape[0], -1).any(axis=1)
        if wrong.any():
            fields.fail("weights", f"neuron {int(np.flatnonzero(wrong)[0])} has pad bits set: expected 0 in the last "
                                   f"{pad} bits of a row")
    return weights


def read_thresholds(fields: Fields, folder: Path, outputs: int, bits: int, dtypes: Sequence[str]) -> np.ndarray:
    """Thresholds (outputs, 2**bits - 1)."""
    found = read_named(fields, "thresholds", folder, dtypes, (outputs, 2**bits - 1))
    if np.isnan(found).any():
        fields.fail("thresholds", "a threshold is not a number")
    return found


def read_padding(fields: Fields, room: int) -> tuple[int, int]:
    """One number for both ends, or [before, after]; each below `room`, the window's size."""
    key = "padding"
    if isinstance(fields.peek(key), list):
        values = fields.take(key, "list")
        if len(values) == 2 and all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v < room for v in values):
            return (values[0], values[1])
        fields.fail(key, f"{values} is not allowed: expected [before, after], each 0 to {room - 1}")
    lines = fields.integer(key, 0, room - 1, 0)
    return (lines, lines)


def check_sums(fields: Fields, weights: np.ndarray, bits: int, codes: int, taps: int) -> None:
    """Sums must fit 32 bits; floats must be numbers."""
    if bits == 32:
        if not np.isfinite(weights).all():
            fields.fail("weights", "a weight is not finite: expected numbers only")
        return
    largest = taps if bits == 1 else int(np.abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(axis=1).max())
    if largest * (2**codes - 1) >= 2**31:
        fields.fail("weights", f"absolute weights of a neuron sum to {largest}, so that {codes}-bit inputs overflow "
                               f"32 bits: expected below {2**31 // (2**codes - 1)}")


def write_padding(padding: tuple[int, int]) -> Any:
    """What `read_padding` reads."""
    return list(padding) if any(padding) else 0


def write_arrays(layer: Any, names: Sequence[str], index: int, array: ArrayWriter) -> dict[str, Any]:
    """Names of the arrays that the layer has, each saved."""
    values = {name: getattr(layer, name) for name in names}
    return {name: array(f"layer{index}-{name}.npy", value) for name, value in values.items() if value is not None}
