"""Layers in software: rows of layers that share a kernel, one behind the other."""

from __future__ import annotations

from typing import Sequence

from ..contracts.layer import Kernel, Layer, Signal

__all__ = ["Row", "compile_layers"]


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
