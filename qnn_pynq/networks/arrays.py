"""What the layer types share in reading: arrays of a descriptor, bit weights, thresholds, bounds of sums."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from ..contracts.layer import ArrayWriter
from ..files.fields import Fields, item_path, show
from ..files.npyfile import ArrayFolder, all_finite, blocks

__all__ = ["INTEGERS", "MAX_CHANNELS", "WEIGHTS", "check_sums", "read_named", "read_padding", "read_signs",
           "read_thresholds", "write_arrays", "write_padding"]

INTEGERS = ("int16", "int32", "int64")
WEIGHTS = {1: "uint8", 8: "int8", 16: "int16", 32: "float32"}
MAX_CHANNELS = 1 << 14
_BLOCK = 1 << 20  # bytes that are looked at at once


def read_named(
    fields: Fields, key: str, arrays: ArrayFolder, dtypes: Sequence[str], shape: tuple[int, ...]
) -> np.ndarray:
    """The array that the field `key` names."""
    return arrays.array(fields.name(key), dtypes, shape, item_path(fields.where, key))


def read_signs(fields: Fields, arrays: ArrayFolder, shape: tuple[int, ...], inputs: int) -> np.ndarray:
    """Bit weights uint8 (*shape, ceil(inputs / 8)) whose pad bits are 0."""
    count = (inputs + 7) // 8
    weights = read_named(fields, "weights", arrays, ("uint8",), shape + (count,))
    pad = 8 * count - inputs
    step = max(1, _BLOCK * shape[0] // weights.size)  # neurons
    for first in range(0, shape[0], step) if pad and arrays.reading else ():
        part = weights[first : first + step, ..., -1]
        wrong = (part >> (8 - pad)).reshape(len(part), -1).any(axis=1)
        if wrong.any():
            fields.fail("weights", f"neuron {first + int(np.flatnonzero(wrong)[0])} has pad bits set: expected 0 in "
                                   f"the last {pad} bits of a row")
    return weights


def read_thresholds(fields: Fields, arrays: ArrayFolder, outputs: int, bits: int, dtypes: Sequence[str]) -> np.ndarray:
    """Thresholds (outputs, 2**bits - 1)."""
    found = read_named(fields, "thresholds", arrays, dtypes, (outputs, 2**bits - 1))
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
        fields.fail(key, f"{show(values)} is not allowed: expected [before, after], each 0 to {room - 1}")
    lines = fields.integer(key, 0, room - 1, 0)
    return (lines, lines)


def check_sums(fields: Fields, weights: np.ndarray, bits: int, codes: int, taps: int) -> None:
    """Sums must fit 32 bits; floats must be numbers."""
    if bits == 32:
        if not all_finite(weights):
            fields.fail("weights", "a weight is not finite: expected numbers only")
        return
    largest = taps << bits - 1
    if bits > 1 and largest * (2**codes - 1) >= 2**31:  # they could; do they?
        largest = max(map(_absolute_sum, weights))
    if largest * (2**codes - 1) >= 2**31:
        fields.fail("weights", f"absolute weights of a neuron sum to {largest}, so that {codes}-bit inputs overflow "
                               f"32 bits: expected below {2**31 // (2**codes - 1)}")


def _absolute_sum(weights: np.ndarray) -> int:
    return sum(int(np.abs(part.astype(np.int32)).sum(dtype=np.int64)) for part in blocks(weights))


def write_padding(padding: tuple[int, int]) -> Any:
    """What `read_padding` reads."""
    return list(padding) if any(padding) else 0


def write_arrays(layer: Any, names: Sequence[str], index: int, array: ArrayWriter) -> dict[str, Any]:
    """Names of the arrays that the layer has, each saved."""
    values = {name: getattr(layer, name) for name in names}
    return {name: array(f"layer{index}-{name}.npy", value) for name, value in values.items() if value is not None}
