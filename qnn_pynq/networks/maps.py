"""The layer types "conv" and "pool": maps of codes, and how both are computed together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Sequence

import numpy as np

from ..contracts.layer import ArrayWriter, Kernel, Layer, Refuse, Signal
from ..files.fields import Fields
from ..files.npyfile import ArrayFolder
from .arrays import (
    INTEGERS,
    MAX_CHANNELS,
    WEIGHTS,
    check_sums,
    read_named,
    read_padding,
    read_signs,
    read_thresholds,
    write_arrays,
    write_padding,
)
from .dense import flipped_threshold

__all__ = ["Conv", "LARGEST", "Pool"]

LARGEST = 1e38  # that float32 sums may reach
_MAX_KERNEL = 64
_INPUT_BITS = {1: (2, 3), 16: (8,), 32: (32,)}  # by weight_bits
_FOR = {"pixels": 16, "floats": 32, "codes": 1}  # weight bits, by what arrives


class _MapLayer(Layer):
    """A layer that walks over maps with a square window."""

    stride: int
    padding: tuple[int, int]

    @property
    def window(self) -> int:
        """Side of the window."""
        raise AssertionError

    def output_size(self, size: int) -> int:
        """Side of the output for a side of the input; below 1 where the window does not fit."""
        return (size + sum(self.padding) - self.window) // self.stride + 1

    def _sides(self, arriving: Signal, refuse: Refuse, field: str) -> tuple[int, int]:
        high, wide = self.output_size(arriving.shape[0]), self.output_size(arriving.shape[1])
        if high < 1 or wide < 1:
            refuse(field, f"{self.window} is larger than the padded map of {arriving.shape[0]} x {arriving.shape[1]}")
        return high, wide

    @classmethod
    def compile(cls, layers: Sequence[Layer], arriving: Signal) -> Kernel:
        return _MapKernel(layers, arriving)


@dataclass(frozen=True, eq=False)
class Conv(_MapLayer):
    """A convolution with thresholds: map (H, W, inputs) to codes (H', W', outputs), square kernel.

    H' = (H + before + after - kernel) // stride + 1. Zeros are padded: code 0, or pixel 0.

    Attributes
    ----------
    padding
        (before, after): lines of zeros at the top and left, and at the bottom and right.
    weights
        `weight_bits` 1: uint8 (outputs, kernel, kernel, ceil(inputs / groups / 8)), little-endian bits,
        1 = +1, 0 = -1, pad bits 0. 16: int16, 32: float32 (outputs, kernel, kernel, inputs / groups).
    thresholds
        (outputs, 2**output_bits - 1) in any order. Integers: code = number of t with sum >= t.
        float32 (`weight_bits` 32): number of t with sum > t.
    input_bits
        Bits of the unsigned codes; 8 for pixels (`weight_bits` 16), 32 for float pixels.
    groups
        Group j of the outputs sees group j of the inputs only (what split and merge are elsewhere).
    invert
        bool (outputs,): where set, code becomes 2**output_bits - 1 - code. None: nowhere.
    """

    type = "conv"
    label = "conv"

    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: tuple[int, int]
    weights: np.ndarray = field(repr=False)
    thresholds: np.ndarray = field(repr=False)
    weight_bits: int = 1
    input_bits: int = 2
    output_bits: int = 2
    groups: int = 1
    invert: np.ndarray | None = field(default=None, repr=False)

    @property
    def window(self) -> int:
        return self.kernel

    @classmethod
    def read(cls, fields: Fields, arrays: ArrayFolder) -> Conv:
        inputs, outputs = fields.integer("inputs", 1, MAX_CHANNELS), fields.integer("outputs", 1, MAX_CHANNELS)
        groups = fields.integer("groups", 1, MAX_CHANNELS, 1)
        for key, channels in (("inputs", inputs), ("outputs", outputs)):
            if channels % groups:
                fields.fail("groups", f"{groups} does not divide {channels} {key}")
        kernel = fields.integer("kernel", 1, _MAX_KERNEL)
        stride = fields.integer("stride", 1, _MAX_KERNEL, 1)
        padding = read_padding(fields, kernel)
        bits = fields.take("weight_bits", "integer", 1, allowed=(1, 16, 32))
        codes = fields.take("input_bits", "integer", {1: 2, 16: 8, 32: 32}[bits], allowed=_INPUT_BITS[bits])
        output_bits = fields.take("output_bits", "integer", 2, allowed=(2, 3))
        part = inputs // groups
        shape = (outputs, kernel, kernel)
        if bits == 1:
            weights = read_signs(fields, arrays, shape, part)
        else:
            weights = read_named(fields, "weights", arrays, (WEIGHTS[bits],), (*shape, part))
        if arrays.reading:
            check_sums(fields, weights, bits, codes, part * kernel * kernel)
        thresholds = read_thresholds(fields, arrays, outputs, output_bits, ("float32",) if bits == 32 else INTEGERS)
        invert = read_named(fields, "invert", arrays, ("bool",), (outputs,)) if fields.has("invert") else None
        return cls(
            inputs, outputs, kernel, stride, padding, weights, thresholds, bits, codes, output_bits, groups, invert
        )

    def write(self, index: int, array: ArrayWriter) -> dict[str, Any]:
        written: dict[str, Any] = {"inputs": self.inputs, "outputs": self.outputs}
        for key in ("kernel", "stride", "groups", "weight_bits", "input_bits", "output_bits"):
            written[key] = getattr(self, key)
        written["padding"] = write_padding(self.padding)
        return {**written, **write_arrays(self, ("weights", "thresholds", "invert"), index, array)}

    def follow(self, arriving: Signal, refuse: Refuse) -> Signal:
        if arriving.coding not in _FOR or len(arriving.shape) != 3:
            refuse("type", f'"conv" takes maps, {arriving.coding} arrive from {arriving.origin}: expected pixels or '
                           'codes, and "linear" layers behind all convolutions')
        if self.weight_bits != _FOR[arriving.coding]:
            refuse("weight_bits", f"{self.weight_bits} bits do not go with {arriving.coding} of {arriving.origin}: "
                                  f"expected {_FOR[arriving.coding]}")
        if self.input_bits != arriving.bits:
            refuse("input_bits", f"{self.input_bits} does not match the {arriving.bits} bits that arrive")
        if self.inputs != arriving.shape[2]:
            refuse("inputs", f"{self.inputs} does not match the {arriving.shape[2]} channels that arrive")
        high, wide = self._sides(arriving, refuse, "kernel")
        if self.weight_bits == 32:
            # No copy is made of large arrays.
            largest = max(abs(float(self.weights.max())), abs(float(self.weights.min())))
            sums = self.inputs // self.groups * self.kernel**2 * largest * arriving.largest
            if not sums <= LARGEST:
                refuse("weights", f"sums of pixels less mean, by divisor, may reach {sums:.3g}: expected at most "
                                  f"{LARGEST:g}")
        return Signal("codes", (high, wide, self.outputs), self.output_bits, 2.0**self.output_bits - 1)

    @property
    def begins_segment(self) -> bool:
        return self.weight_bits == 1

    @property
    def weight_count(self) -> int:
        return self.outputs * self.kernel**2 * (self.inputs // self.groups)

    def macs(self, arriving: Signal) -> int:
        return self.output_size(arriving.shape[0]) * self.output_size(arriving.shape[1]) * self.weight_count

    def describe(self, arriving: Signal) -> dict[str, Any]:
        keys = ("inputs", "outputs", "kernel", "stride", "padding", "groups", "weight_bits", "input_bits",
                "output_bits")
        return {key: getattr(self, key) for key in keys}

    def held(self) -> tuple[tuple[bool, int, int], ...]:
        if self.weight_bits != 1:
            return ()
        bits = self.kernel**2 * (self.inputs // self.groups)
        return ((False, self.outputs, bits), (True, self.outputs, 16 * self.thresholds.shape[1]))

    def flip(self, thresholds: bool, output: int, bit: int) -> Conv:
        if thresholds:
            return replace(self, thresholds=flipped_threshold(self.thresholds, output, bit))
        weights = self.weights.copy()
        place, bit = divmod(bit, self.inputs // self.groups)  # each place of the kernel has bytes of its own
        weights[output].reshape(-1)[place * self.weights.shape[-1] + bit // 8] ^= np.uint8(1 << bit % 8)
        return replace(self, weights=weights)


@dataclass(frozen=True)
class Pool(_MapLayer):
    """Maximum of codes in a size x size window; `padding` (before, after) lines of code 0."""

    type = "pool"
    label = "pool"

    size: int
    stride: int
    padding: tuple[int, int] = (0, 0)

    @property
    def window(self) -> int:
        return self.size

    @classmethod
    def read(cls, fields: Fields, arrays: ArrayFolder) -> Pool:
        size = fields.integer("size", 2, 16)
        return cls(size, fields.integer("stride", 1, size, size), read_padding(fields, size))

    def write(self, index: int, array: ArrayWriter) -> dict[str, Any]:
        return {"size": self.size, "stride": self.stride, "padding": write_padding(self.padding)}

    def follow(self, arriving: Signal, refuse: Refuse) -> Signal:
        if arriving.coding != "codes" or len(arriving.shape) != 3:
            refuse("type", f'"pool" takes maps of codes, {arriving.coding} arrive from {arriving.origin}: expected a '
                           'convolution before it')
        high, wide = self._sides(arriving, refuse, "size")
        return Signal("codes", (high, wide, arriving.shape[2]), arriving.bits, arriving.largest)

    def describe(self, arriving: Signal) -> dict[str, Any]:
        return {"kernel": self.size, "stride": self.stride, "padding": self.padding}


class _MapKernel(Kernel):
    """Convolutions and pools; a convolution's time includes the pools behind it, and pools in front have one."""

    def __init__(self, layers: Sequence[Layer], arriving: Signal) -> None:
        from ..kernels import ConvStack  # not before: catalogues need no kernels

        first = next((index for index, layer in enumerate(layers) if isinstance(layer, Conv)), len(layers))
        self._pools = [layer for layer in layers[:first] if isinstance(layer, Pool)]
        high, wide = arriving.shape[:2]
        for pool in self._pools:
            high, wide = pool.output_size(high), pool.output_size(wide)
        self._stack = ConvStack(layers[first:], high, wide) if first < len(layers) else None
        convs = tuple(index for index, layer in enumerate(layers) if isinstance(layer, Conv))
        self.rows = (0, *convs) if first else convs

    def run(
        self,
        values: np.ndarray,
        out: np.ndarray | None = None,
        sums: np.ndarray | None = None,
        seconds: np.ndarray | None = None,
    ) -> np.ndarray:
        begun = perf_counter()
        for pool in self._pools:
            values = _pooled(pool, values)
        if self._pools and seconds is not None:
            seconds[0] = perf_counter() - begun
            seconds = seconds[1:]
        if self._stack is not None:
            return self._stack.run(values, out, seconds)
        if out is None:
            return values
        out[...] = values
        return out


def _pooled(pool: Pool, maps: np.ndarray) -> np.ndarray:
    """A pool without a convolution before it, where an overlay leaves it to the processor."""
    around = (pool.padding, pool.padding)
    padded = np.pad(maps, ((0, 0), *around, (0, 0)), "constant")
    high, wide = pool.output_size(maps.shape[1]), pool.output_size(maps.shape[2])
    best = np.zeros((len(maps), high, wide, maps.shape[3]), maps.dtype)
    for y in range(pool.size):
        for x in range(pool.size):
            window = padded[:, y :: pool.stride, x :: pool.stride][:, :high, :wide]
            np.maximum(best, window, out=best)
    return best
