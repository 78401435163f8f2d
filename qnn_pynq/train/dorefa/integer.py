"""Integer arithmetic of exported DoReFa networks, through float32 convolutions whose sums are exact."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from ...contracts.layer import Layer
from ...errors import ConversionError
from ...networks.linear import Linear
from ...networks.maps import Conv, Pool
from .._torch import torch
from ..signs import unpacked_signs

__all__ = ["classes_of", "integer_codes", "run_conv", "run_linear", "run_pool"]

_EXACT = 1 << 24  # integers up to here are floats of 32 bits


def run_conv(layer: Conv, maps: np.ndarray) -> np.ndarray:
    """Codes uint8 (N, H', W', outputs) of uint8 maps (N, H, W, inputs)."""
    weights = unpacked_signs(layer.weights, layer.inputs) if layer.weight_bits == 1 else layer.weights
    largest = np.abs(weights.astype(np.int64)).reshape(layer.outputs, -1).sum(axis=1).max() * (
        2**layer.input_bits - 1
    )
    # Pixels times 16-bit weights need more than 24 bits: float64 is exact there.
    kind = torch.float32 if largest < _EXACT else torch.float64
    x = torch.from_numpy(np.array(maps)).permute(0, 3, 1, 2).to(kind)
    before, after = layer.padding
    x = torch.nn.functional.pad(x, (before, after, before, after))
    kernel = torch.from_numpy(np.array(weights)).to(kind).permute(0, 3, 1, 2)
    with torch.no_grad():
        sums = torch.nn.functional.conv2d(x, kernel, stride=layer.stride, groups=layer.groups)
    sums = sums.permute(0, 2, 3, 1)
    codes = torch.zeros(sums.shape, dtype=torch.uint8)
    for column in layer.thresholds.T:
        codes += sums >= torch.from_numpy(column.astype(np.float64)).to(kind)
    if layer.invert is not None:
        top = 2**layer.output_bits - 1
        codes = torch.where(torch.from_numpy(np.array(layer.invert)), top - codes, codes)
    return codes.numpy()


def run_pool(layer: Pool, maps: np.ndarray) -> np.ndarray:
    """Maximum of codes, zeros padded."""
    before, after = layer.padding
    padded = np.pad(maps, ((0, 0), (before, after), (before, after), (0, 0)), "constant")
    high, wide = layer.output_size(maps.shape[1]), layer.output_size(maps.shape[2])
    found = np.zeros((len(maps), high, wide, maps.shape[3]), maps.dtype)
    for row in range(layer.size):
        for column in range(layer.size):
            part = padded[:, row :: layer.stride, column :: layer.stride][:, :high, :wide]
            np.maximum(found, part, out=found)
    return found


def run_linear(layer: Linear, codes: np.ndarray) -> np.ndarray:
    """float64 (N, outputs): scale * sum + bias."""
    if layer.weight_bits != 8 or layer.thresholds is not None:
        raise ConversionError(f"{layer.weight_bits} weight bits: expected 8, without thresholds")
    # Below 2**53 every sum is exact, in any order.
    sums = codes.reshape(len(codes), -1).astype(np.float64) @ layer.weights.astype(np.float64).T
    result = layer.scale * sums
    return result if layer.bias is None else result + layer.bias.astype(np.float64)


def integer_codes(layers: Sequence[Layer], pictures: np.ndarray) -> list[np.ndarray]:
    """Output of every layer, of uint8 pictures (N, H, W, channels)."""
    found: list[np.ndarray] = []
    value: Any = pictures
    for layer in layers:
        if isinstance(layer, Conv):
            value = run_conv(layer, value)
        elif isinstance(layer, Pool):
            value = run_pool(layer, value)
        elif isinstance(layer, Linear):
            value = run_linear(layer, value)
        else:
            raise ConversionError(f"{type(layer).__name__}: expected Conv, Pool or Linear")
        found.append(value)
    return found


def classes_of(logits: np.ndarray) -> np.ndarray:
    """The class with the largest value, the first of equal ones."""
    return logits.argmax(axis=1)
