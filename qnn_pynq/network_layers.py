"""Layers of `network.json`: how each kind is read, checked and written."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from .fields import Fields, item_path, show
from .network_types import MAX_SCALE, Conv, Dense, Layer, Linear, Pool
from .npyfile import ArrayFolder, all_finite, blocks

__all__ = ["ArrayWriter", "MAX_WIDTH", "read_layer", "write_layer"]

ArrayWriter = Callable[[str, np.ndarray], str]

MAX_WIDTH = 0x7FFF  # sums of binary dense layers are 16-bit
_THRESHOLDS = {"binary": 1, "ternary": 2, "none": 0}  # per neuron of a dense layer, by output code
_INTEGERS = ("int16", "int32", "int64")
_WEIGHTS = {1: "uint8", 8: "int8", 16: "int16", 32: "float32"}
_MAX_CHANNELS = 1 << 14
_MAX_KERNEL = 64
_MAX_TAIL = 1 << 22  # inputs of one dense layer of a tail
_BLOCK = 1 << 20  # bytes that are looked at at once


def read_layer(fields: Fields, arrays: ArrayFolder) -> Layer:
    """The layer that one object of "layers" describes; its arrays are those of `arrays`."""
    layer = _READERS[fields.take("type", "string", allowed=tuple(_READERS))](fields, arrays)
    fields.done()
    return layer


def write_layer(layer: Layer, index: int, array: ArrayWriter) -> dict[str, Any]:
    """The object of "layers" for `layer`; `array` saves an array under a name and returns the name."""
    return _WRITERS[type(layer)](layer, index, array)


def _array(
    fields: Fields, key: str, arrays: ArrayFolder, dtypes: tuple[str, ...], shape: tuple[int, ...]
) -> np.ndarray:
    return arrays.array(fields.name(key), dtypes, shape, item_path(fields.where, key))


def _signs(fields: Fields, arrays: ArrayFolder, shape: tuple[int, ...], inputs: int) -> np.ndarray:
    """Bit weights uint8 (*shape, ceil(inputs / 8)) whose pad bits are 0."""
    count = (inputs + 7) // 8
    weights = _array(fields, "weights", arrays, ("uint8",), shape + (count,))
    pad = 8 * count - inputs
    step = max(1, _BLOCK * shape[0] // weights.size)  # neurons
    for first in range(0, shape[0], step) if pad and arrays.reading else ():
        part = weights[first : first + step, ..., -1]
        wrong = (part >> (8 - pad)).reshape(len(part), -1).any(axis=1)
        if wrong.any():
            problem = "neuron {} has pad bits set: expected 0 in the last {} bits of a row"
            fields.fail("weights", problem.format(first + int(np.flatnonzero(wrong)[0]), pad))
    return weights


def _read_dense(fields: Fields, arrays: ArrayFolder) -> Dense:
    inputs = fields.integer("inputs", 1, MAX_WIDTH)
    outputs = fields.integer("outputs", 1, MAX_WIDTH)
    bits = fields.take("weight_bits", "integer", 1, allowed=(1,))
    code = fields.take("input", "string", allowed=("binary", "ternary"))
    accumulator = fields.take("accumulator", "string", allowed=("popcount", "sum"))
    output = fields.take("output", "string", allowed=tuple(_THRESHOLDS))
    if accumulator == "popcount" and code != "binary":
        fields.fail("accumulator", '"popcount" does not go with input "{}": expected "sum"'.format(code))
    weights = _signs(fields, arrays, (outputs,), inputs)
    thresholds = None
    name = fields.name("thresholds", None)
    if output == "none" and name is not None:
        fields.fail("thresholds", '"{}" does not go with output "none": expected no thresholds'.format(name))
    if output != "none":
        if name is None:
            fields.fail("thresholds", 'missing: output "{}" needs the name of a .npy file'.format(output))
        where = item_path(fields.where, "thresholds")
        shape = (outputs, _THRESHOLDS[output])
        thresholds = arrays.array(name, ("int16", "int32", "int64"), shape, where)
    return Dense(inputs, outputs, weights, thresholds, bits, code, accumulator, output)


def _padding(fields: Fields, room: int) -> tuple[int, int]:
    """One number for both ends, or [before, after]; each below the window's size."""
    key = "padding"
    if isinstance(fields.peek(key), list):
        values = fields.take(key, "list")
        if len(values) == 2 and all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v < room for v in values):
            return (values[0], values[1])
        fields.fail(key, "{} is not allowed: expected [before, after], each 0 to {}".format(show(values), room - 1))
    lines = fields.integer(key, 0, room - 1, 0)
    return (lines, lines)


def _read_conv(fields: Fields, arrays: ArrayFolder) -> Conv:
    inputs, outputs = fields.integer("inputs", 1, _MAX_CHANNELS), fields.integer("outputs", 1, _MAX_CHANNELS)
    groups = fields.integer("groups", 1, _MAX_CHANNELS, 1)
    for key, channels in (("inputs", inputs), ("outputs", outputs)):
        if channels % groups:
            fields.fail("groups", "{} does not divide {} {}".format(groups, key, channels))
    kernel = fields.integer("kernel", 1, _MAX_KERNEL)
    stride = fields.integer("stride", 1, _MAX_KERNEL, 1)
    padding = _padding(fields, kernel) if kernel > 1 else _no_padding(fields)
    bits = fields.take("weight_bits", "integer", 1, allowed=(1, 16, 32))
    codes = fields.take("input_bits", "integer", {1: 2, 16: 8, 32: 32}[bits], allowed=_INPUT_BITS[bits])
    output_bits = fields.take("output_bits", "integer", 2, allowed=(2, 3))
    part = inputs // groups
    if bits == 1:
        weights = _signs(fields, arrays, (outputs, kernel, kernel), part)
    else:
        weights = _array(fields, "weights", arrays, (_WEIGHTS[bits],), (outputs, kernel, kernel, part))
    if arrays.reading:
        _check_sums(fields, weights, bits, codes, part * kernel * kernel)
    thresholds = _thresholds(fields, arrays, outputs, output_bits, ("float32",) if bits == 32 else _INTEGERS)
    invert = None
    if fields.has("invert"):
        invert = _array(fields, "invert", arrays, ("bool",), (outputs,))
    return Conv(
        inputs, outputs, kernel, stride, padding, weights, thresholds, bits, codes, output_bits, groups, invert
    )


_INPUT_BITS = {1: (2, 3), 16: (8,), 32: (32,)}


def _no_padding(fields: Fields) -> tuple[int, int]:
    if fields.take("padding", "integer", 0, allowed=(0,)):
        raise AssertionError
    return (0, 0)


def _check_sums(fields: Fields, weights: np.ndarray, bits: int, codes: int, taps: int) -> None:
    """Sums must fit 32 bits; floats must be numbers."""
    if bits == 32:
        if not all_finite(weights):
            fields.fail("weights", "a weight is not finite: expected numbers only")
        return
    largest = taps << bits - 1
    if bits > 1 and largest * (2**codes - 1) >= 2**31:  # they could; do they?
        largest = max(map(_absolute_sum, weights))
    if largest * (2**codes - 1) >= 2**31:
        problem = "absolute weights of a neuron sum to {}, so that {}-bit inputs overflow 32 bits: expected below {}"
        fields.fail("weights", problem.format(largest, codes, 2**31 // (2**codes - 1)))


def _absolute_sum(weights: np.ndarray) -> int:
    return sum(int(np.abs(part.astype(np.int32)).sum(dtype=np.int64)) for part in blocks(weights))


def _thresholds(fields: Fields, arrays: ArrayFolder, outputs: int, bits: int, dtypes: tuple[str, ...]) -> np.ndarray:
    found = _array(fields, "thresholds", arrays, dtypes, (outputs, 2**bits - 1))
    if np.isnan(found).any():
        fields.fail("thresholds", "a threshold is not a number")
    return found


def _read_pool(fields: Fields, _: ArrayFolder) -> Pool:
    size = fields.integer("size", 2, 16)
    return Pool(size, fields.integer("stride", 1, size, size), _padding(fields, size))


def _read_linear(fields: Fields, arrays: ArrayFolder) -> Linear:
    inputs, outputs = fields.integer("inputs", 1, _MAX_TAIL), fields.integer("outputs", 1, _MAX_CHANNELS)
    bits = fields.take("weight_bits", "integer", 8, allowed=(1, 8, 32))
    codes = fields.take("input_bits", "integer", 2, allowed=(2, 3, 32) if bits == 32 else (2, 3))
    if bits == 1:
        weights = _signs(fields, arrays, (outputs,), inputs)
    else:
        weights = _array(fields, "weights", arrays, (_WEIGHTS[bits],), (outputs, inputs))
    if arrays.reading:
        _check_sums(fields, weights, bits, codes, inputs)
    bias = None
    if fields.has("bias"):
        bias = _array(fields, "bias", arrays, ("float32",), (outputs,))
        if not np.isfinite(bias).all():
            fields.fail("bias", "a value is not finite: expected numbers only")
    scale = fields.number("scale", 1.0, MAX_SCALE)
    activation = fields.take("activation", "string", "none", allowed=("none", "clip", "quantise"))
    has_codes = fields.has("thresholds")
    output_bits = fields.take("output_bits", "integer", 0, allowed=(0, 2, 3))
    if (output_bits > 0) != (has_codes or activation == "quantise"):
        fields.fail("output_bits", "{}: expected 2 or 3 with thresholds or \"quantise\", else 0".format(output_bits))
    thresholds = None
    if has_codes:
        if bits == 32 or activation != "none" or bias is not None or scale != 1.0:
            fields.fail("thresholds", "expected 1-bit or 8-bit weights, and no scale, bias or activation beside them")
        thresholds = _thresholds(fields, arrays, outputs, output_bits, _INTEGERS)
    return Linear(inputs, outputs, weights, bias, float(scale), bits, codes, activation, output_bits, thresholds)


def _write_dense(layer: Dense, index: int, array: ArrayWriter) -> dict[str, Any]:
    written: dict[str, Any] = {"type": "dense", "inputs": layer.inputs, "outputs": layer.outputs}
    written["weights"] = array("layer{}-weights.npy".format(index), layer.weights)
    if layer.thresholds is not None:
        written["thresholds"] = array("layer{}-thresholds.npy".format(index), layer.thresholds)
    for key in ("weight_bits", "input", "accumulator", "output"):
        written[key] = getattr(layer, key)
    return written


def _write_conv(layer: Conv, index: int, array: ArrayWriter) -> dict[str, Any]:
    written: dict[str, Any] = {"type": "conv", "inputs": layer.inputs, "outputs": layer.outputs}
    for key in ("kernel", "stride", "groups", "weight_bits", "input_bits", "output_bits"):
        written[key] = getattr(layer, key)
    written["padding"] = list(layer.padding) if any(layer.padding) else 0
    return _write_arrays(written, layer, ("weights", "thresholds", "invert"), index, array)


def _write_pool(layer: Pool, index: int, array: ArrayWriter) -> dict[str, Any]:
    padding = list(layer.padding) if any(layer.padding) else 0
    return {"type": "pool", "size": layer.size, "stride": layer.stride, "padding": padding}


def _write_linear(layer: Linear, index: int, array: ArrayWriter) -> dict[str, Any]:
    written: dict[str, Any] = {"type": "linear", "inputs": layer.inputs, "outputs": layer.outputs}
    for key in ("weight_bits", "input_bits", "scale", "activation", "output_bits"):
        written[key] = getattr(layer, key)
    return _write_arrays(written, layer, ("weights", "bias", "thresholds"), index, array)


def _write_arrays(
    written: dict[str, Any], layer: Layer, names: tuple[str, ...], index: int, array: ArrayWriter
) -> dict[str, Any]:
    for key in names:
        value = getattr(layer, key)
        if value is not None:
            written[key] = array("layer{}-{}.npy".format(index, key), value)
    return written


_READERS: dict[str, Callable[[Fields, ArrayFolder], Layer]] = {
    "dense": _read_dense,
    "conv": _read_conv,
    "pool": _read_pool,
    "linear": _read_linear,
}
_WRITERS: dict[type, Callable[[Any, int, ArrayWriter], dict[str, Any]]] = {
    Dense: _write_dense,
    Conv: _write_conv,
    Pool: _write_pool,
    Linear: _write_linear,
}
