"""Layers on the processor: the kernels of a row of layers, and how pictures get to the first of them."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from ..contracts.layer import Kernel, Layer, Signal
from ..contracts.network import InputSpec
from ..errors import UnsupportedNetworkError
from ..kernels import Encoder
from ..pictures.prepare import first_layer_input

__all__ = ["DTYPES", "Row", "as_kind", "compile_layers", "make_encoder", "pictures_to_maps"]


DTYPES = {"words": "uint64", "codes": "uint8", "sums": "int32", "scores": "float64"}  # of values, by kind


class Row:
    """A layer's or some layers' place in a network, and the kernel that computes them."""

    __slots__ = ("first", "kernel", "layers")

    def __init__(self, first: int, layers: Sequence[Layer], kernel: Kernel) -> None:
        self.first, self.layers, self.kernel = first, tuple(layers), kernel


def compile_layers(layers: Sequence[Layer], signals: Sequence[Signal], first: int = 0) -> list[Row]:
    """Kernels of layers one behind the other.

    Parameters
    ----------
    signals : sequence of Signal
        What arrives at each of them.
    first : int
        Index of the first in the network.
    """
    rows, begin = [], 0
    for end in range(1, len(layers) + 1):
        if end == len(layers) or _compiler(layers[end]) is not _compiler(layers[begin]):
            group = layers[begin:end]
            rows.append(Row(first + begin, group, type(group[0]).compile(group, signals[begin])))
            begin = end
    return rows


def _compiler(layer: Layer) -> object:
    compiler: object = type(layer).compile.__func__  # type: ignore[attr-defined]
    return compiler


def make_encoder(spec: InputSpec, bits: int) -> Encoder:
    """The kernel that turns pictures into so many bits."""
    coding = spec.encoding
    if coding.kind == "threshold":
        return Encoder(spec.pixels, bits, threshold=coding.threshold)
    return Encoder(spec.pixels, bits, index=coding.pixels, thresholds=coding.thresholds)


def pictures_to_maps(spec: InputSpec, pictures: np.ndarray) -> np.ndarray:
    """What the first layer on maps takes: uint8 or float32 (N, H, W, C) of prepared pictures (N, pixels)."""
    maps = pictures.reshape(len(pictures), *spec.size, spec.channels)
    return first_layer_input(maps, spec.encoding)


def as_kind(signal: Signal) -> str:
    """The kind of values that a signal has behind an engine."""
    if signal.coding == "binary":
        if signal.values > 64:
            raise UnsupportedNetworkError(
                f"{signal.values} output bits from {signal.origin}: expected at most 64, a word")
        return "words"
    if signal.coding not in ("codes", "sums", "scores"):
        raise UnsupportedNetworkError(f'"{signal.coding}" from {signal.origin} cannot be an answer: expected bits, '
                                      'codes, sums or scores')
    return signal.coding
