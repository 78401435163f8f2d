"""What QNN-MO-PYNQ computes on the processor: first convolution, mean picture and dense tail of DoReFa-Net."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..bounded import Room
from ..errors import DescriptorError
from ..fields import fail
from ..network import Conv, Linear
from ..npyfile import BadArray, all_finite, parse_array, read_array
from .pickled import read_pickled
from .qnn_mo_layers import ConvEntry, DenseEntry, LayerList

__all__ = ["dense_tail", "first_layer", "mean_picture"]

_MOST_MEAN = 64 << 20  # bytes of a mean picture: 2364 x 2364 pixels


def first_layer(entry: ConvEntry, path: Path, bits: int) -> Conv:
    """The convolution of float pixels from a pickled dict: weights (out, in, ky, kx), thresholds for all channels."""
    arrays = read_pickled(path)
    shape = (entry.outputs, entry.inputs, entry.kernel, entry.kernel)
    weights = _array(arrays, entry.name + "/W", shape, path)
    thresholds = _array(arrays, entry.name + "/T", (2**bits - 1,), path)
    return Conv(
        inputs=entry.inputs,
        outputs=entry.outputs,
        kernel=entry.kernel,
        stride=entry.stride,
        padding=entry.padding,
        weights=np.ascontiguousarray(weights.transpose(0, 2, 3, 1)),
        thresholds=np.ascontiguousarray(np.broadcast_to(thresholds, (entry.outputs, 2**bits - 1))),
        weight_bits=32,
        input_bits=32,
        output_bits=bits,
    )


def _array(arrays: dict[str, np.ndarray], key: str, shape: tuple[int, ...], path: Path) -> np.ndarray:
    found = arrays.get(key)
    if found is None:
        problem = "{} has no array {!r}: expected it beside {}"
        raise DescriptorError(problem.format(path, key, ", ".join(sorted(arrays)) or "others"))
    if found.shape != shape or found.dtype != np.float32:
        problem = "{}: {} is {} {}: expected float32 {}"
        raise DescriptorError(problem.format(path, key, found.dtype, found.shape, shape))
    if not all_finite(found):
        raise DescriptorError("{}: a value of {} is not finite: expected numbers only".format(path, key))
    return found


def mean_picture(path: Path, size: tuple[int, int], channels: int) -> np.ndarray:
    """The middle of the mean picture, float32 size + (channels,)."""
    try:
        if not path.is_file():  # a pipe would be waited for
            problem = "is no regular file" if path.exists() else "is not there"
            raise BadArray(problem + "; expected the mean picture")
        with path.open("rb") as stream:
            found = parse_array(
                stream, path.stat().st_size, ("float32",), (None, None, channels), None, Room(_MOST_MEAN)
            )
    except BadArray as error:
        raise DescriptorError("{} {}".format(path, error)) from None
    except OSError as error:
        problem = "{} cannot be read: {}; expected the mean picture"
        raise DescriptorError(problem.format(path, (error.strerror or str(error)).lower())) from error
    rest = [have - need for have, need in zip(found.shape, size)]
    if min(rest) < 0 or rest[0] % 2 or rest[1] % 2:
        problem = "{} has {} x {} pixels: expected {} x {}, or the same number of lines more on each side"
        raise DescriptorError(problem.format(path, found.shape[0], found.shape[1], *size))
    if not np.isfinite(found).all():
        raise DescriptorError("{}: a value is not finite: expected numbers only".format(path))
    top, left = rest[0] // 2, rest[1] // 2
    return np.ascontiguousarray(found[top : top + size[0], left : left + size[1]])


def dense_tail(listed: LayerList, path: Path, bits: int) -> tuple[Linear, ...]:
    """The three dense layers of DoReFa-Net; weights (in, out) are views of what is mapped."""
    entries = listed.dense
    if len(entries) != 3:
        problem = "{} entries of fc_layer: expected 3, as DoReFa-Net has them"
        fail(listed.source, "layers", problem.format(len(entries)))
    keys = ("fc0/Wn", "fc0/bn", "fc1/Wn", "fc1/bn", "fct/W")
    shapes = [shape for entry in entries for shape in ((entry.inputs, entry.outputs), (entry.outputs,))]
    if os.path.isdir(path):
        arrays = {
            key: read_array(path, key.replace("/", "-") + ".npy", ("float32",), shape, str(path), key)
            for key, shape in zip(keys, shapes)
        }
    else:
        arrays = read_pickled(path)
    found = [_array(arrays, key, shape, path) for key, shape in zip(keys, shapes)]

    def layer(entry: DenseEntry, weights: np.ndarray, bias: np.ndarray | None, **rest: Any) -> Linear:
        return Linear(entry.inputs, entry.outputs, weights.T, bias, weight_bits=32, **rest)

    return (
        layer(
            entries[0], found[0], found[1],
            scale=1 / (2**bits - 1), input_bits=bits, activation="quantise", output_bits=bits,
        ),
        layer(entries[1], found[2], found[3], input_bits=32, activation="clip"),
        layer(entries[2], found[4], None, input_bits=32),
    )
