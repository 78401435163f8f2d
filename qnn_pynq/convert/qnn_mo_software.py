"""What QNN-MO-PYNQ computes on the processor.

First convolution, mean picture and dense tail of DoReFa-Net; first and last convolution of Tinier-YOLO.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from ..contracts.layer import Layer
from ..errors import DescriptorError
from ..files.fields import fail
from ..files.npyfile import BadArray, all_finite, parse_array, read_array
from ..networks.linear import Linear
from ..networks.maps import Conv
from ..pictures.cropping import middle_part
from .pickled import read_pickled
from .qnn_mo_layers import ConvEntry, DenseEntry, LayerList

__all__ = ["dense_tail", "first_layer", "mean_picture", "unlisted_first", "unlisted_last", "upright"]

# Tinier-YOLO's first layer, as the published notebook has it; no file says it.
_KERNEL, _STRIDE, _PADDING = 3, 2, (1, 1)
_RANGE = 4.0  # outputs are clipped to 0..4 and quantised
_COLOURS = 3
_MOST_BYTES = 64 << 20  # of a plain array, which is read; the published ones have 256 KB and 786 KB



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
        raise DescriptorError(f"{path}: a value of {key} is not finite: expected numbers only")
    return found


def unlisted_first(path: Path, listed: LayerList, bits: int) -> Conv:
    """Tinier-YOLO's first layer, for upright pictures of floats from 0 to 1.

    code = round(clip(y, 0, 4) * n / 4) with n = 2**bits - 1: the number of steps k for which y > (k - 1/2) * 4 / n.
    """
    weights, bias = _weights_and_bias(path, (_KERNEL, _KERNEL, _COLOURS, listed.channels))
    steps = (np.arange(1, 2**bits) - 0.5) * (_RANGE / (2**bits - 1))
    return Conv(
        inputs=_COLOURS,
        outputs=listed.channels,
        kernel=_KERNEL,
        stride=_STRIDE,
        padding=_PADDING,
        weights=np.ascontiguousarray(weights.transpose(3, 0, 1, 2)),
        thresholds=(steps - bias.astype(np.float64)[:, None]).astype(np.float32),
        weight_bits=32,
        input_bits=32,
        output_bits=bits,
    )


def unlisted_last(path: Path, inputs: int, bits: int) -> Linear:
    """A convolution of 1 x 1 on the codes of the last map."""
    weights, bias = _weights_and_bias(path, (1, 1, inputs, None))
    found = np.ascontiguousarray(weights[0, 0].T)
    return Linear(inputs, len(found), found, bias, weight_bits=32, input_bits=bits, pointwise=True)


def upright(layer: Layer) -> Layer:
    """The layer with x and y of its kernel exchanged."""
    if not isinstance(layer, Conv):
        return layer
    return replace(layer, weights=np.ascontiguousarray(layer.weights.transpose(0, 2, 1, 3)))


def _weights_and_bias(path: Path, shape: Sequence[int | None]) -> tuple[np.ndarray, np.ndarray]:
    """Arrays of `...-W.npy` and of `...-bias.npy` beside it."""
    if not path.name.endswith("-W.npy"):
        raise DescriptorError(f"{path}: expected a file ...-W.npy, with ...-bias.npy beside it")
    weights = _plain(path, shape, "the weights (codes=True, --codes, leaves them out)")
    return weights, _plain(path.with_name(path.name[: -len("W.npy")] + "bias.npy"), weights.shape[-1:], "the bias")


def _plain(path: Path, shape: Sequence[int | None], what: str) -> np.ndarray:
    """An array of finite floats that no pickle holds."""
    try:
        if not path.is_file():  # a pipe would be waited for
            problem = "is no regular file" if path.exists() else "is not there"
            raise BadArray(f"{problem}; expected {what}")
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise BadArray(f"has {size} bytes: expected {what}, at most {_MOST_BYTES}")
        with path.open("rb") as stream:
            found = parse_array(stream, size, ("float32",), shape)
    except BadArray as error:
        raise DescriptorError(f"{path} {error}") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DescriptorError(f"{path} cannot be read: {reason}; expected {what}") from error
    if not np.isfinite(found).all():
        raise DescriptorError(f"{path}: a value is not finite: expected numbers only")
    return found


def mean_picture(path: Path, size: tuple[int, int], channels: int) -> np.ndarray:
    """The middle of the mean picture, float32 size + (channels,)."""
    found = _plain(path, (None, None, channels), "the mean picture")
    rest = [have - need for have, need in zip(found.shape, size)]
    if min(rest) < 0 or rest[0] % 2 or rest[1] % 2:
        problem = "{} has {} x {} pixels: expected {} x {}, or the same number of lines more on each side"
        raise DescriptorError(problem.format(path, found.shape[0], found.shape[1], *size))
    return middle_part(found, size)


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
