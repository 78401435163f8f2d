"""What follows the last convolution: dense layers on its codes, on the processor."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Sequence

import numpy as np

from ..kernels import LinearLayer
from ..network import Linear

__all__ = ["Tail", "quantise", "softmax"]


def quantise(values: np.ndarray, bits: int) -> np.ndarray:
    """round_half_even(n * clip(values, 0, 1)) / n with n = 2**bits - 1, in the dtype of `values` (DoReFa)."""
    steps = 2**bits - 1
    found: np.ndarray = np.rint(steps * np.clip(values, 0, 1)) / values.dtype.type(steps)
    return found


def softmax(values: np.ndarray) -> np.ndarray:
    """Probabilities of the last axis; the largest value is taken off first, so nothing overflows."""
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    found: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return found


class Tail:
    """The linear layers of a network.

    Sums of 1-bit and 8-bit weights are exact integers, then scaled in float64; those of float weights are
    float32, whose last bits depend on the order of summation.
    """

    def __init__(self, layers: Sequence[Linear]) -> None:
        self.layers = tuple(layers)
        # Arrays of an import may lie transposed in the foreign file.
        ready = [replace(layer, weights=np.require(layer.weights, requirements=["C", "A"])) for layer in self.layers]
        self._kernels = [LinearLayer(layer) for layer in ready]

    def run(self, codes: np.ndarray, seconds: np.ndarray | None = None) -> np.ndarray:
        """float64 (N, outputs) of uint8 codes (N, H, W, C); `seconds` float64 (layers,) gets each layer's time.

        Of a pointwise layer (N, H, W, outputs).
        """
        places = codes.shape[:3] if self.layers and self.layers[0].pointwise else codes.shape[:1]
        values = codes.reshape(int(np.prod(places)), int(np.prod(codes.shape[len(places) :])))
        for index, (layer, kernel) in enumerate(zip(self.layers, self._kernels)):
            begun = perf_counter()
            if layer.weight_bits == 32:
                values = np.ascontiguousarray(values, np.float32)
            sums = kernel.run(values)
            values = sums if layer.thresholds is not None else _activate(layer, sums)
            if seconds is not None:
                seconds[index] = perf_counter() - begun
        return values.reshape(*places, values.shape[-1]).astype(np.float64)


def _activate(layer: Linear, sums: np.ndarray) -> np.ndarray:
    values: np.ndarray = sums.astype(np.float32 if layer.weight_bits == 32 else np.float64)
    values *= layer.scale
    if layer.bias is not None:
        values += layer.bias
    if layer.activation == "clip":
        np.clip(values, 0, 1, out=values)
    elif layer.activation == "quantise":
        values = quantise(values, layer.output_bits)
    return values
