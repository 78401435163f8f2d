"""The layer type "linear": dense layers of a tail, on the processor."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Sequence

import numpy as np

from ..contracts.layer import ArrayWriter, Kernel, Layer, Refuse, Signal
from ..files.fields import Fields
from ..files.npyfile import ArrayFolder
from .arrays import INTEGERS, MAX_CHANNELS, WEIGHTS, check_sums, read_named, read_signs, read_thresholds, write_arrays
from .maps import LARGEST

__all__ = ["MAX_SCALE", "Linear", "quantise"]

MAX_SCALE = 1e30  # of outputs: their products stay numbers
_MAX_INPUTS = 1 << 22


def quantise(values: np.ndarray, bits: int) -> np.ndarray:
    """round_half_even(n * clip(values, 0, 1)) / n with n = 2**bits - 1, in the dtype of `values` (DoReFa)."""
    steps = 2**bits - 1
    found: np.ndarray = np.rint(steps * np.clip(values, 0, 1)) / values.dtype.type(steps)
    return found


@dataclass(frozen=True, eq=False)
class Linear(Layer):
    """A dense layer of the tail, on codes in the order y, x, channel, or on another one's results.

    Without thresholds: y = scale * sum + bias, then `activation`: "none", "clip" to 0..1, or "quantise":
    round_half_even(n * clip(y)) / n with n = 2**output_bits - 1.

    Attributes
    ----------
    weights
        `weight_bits` 1: uint8 (outputs, ceil(inputs / 8)), little-endian bits, 1 = +1, 0 = -1, pad bits 0.
        8: int8 (outputs, inputs). 32: float32 (outputs, inputs). Sums of 1 and 8 are exact integers.
    bias
        float32 (outputs,) or None.
    input_bits
        Bits of the codes; 32 for floats.
    thresholds
        int (outputs, 2**output_bits - 1), only with integer sums: the output is codes, as `Conv` has them.
    pointwise
        The layer is applied at each place of the map, as a convolution with a kernel of 1; `inputs` are the map's
        channels. It stands last, and the network ends in features.
    """

    type = "linear"
    label = "fc"
    tail = True

    inputs: int
    outputs: int
    weights: np.ndarray = field(repr=False)
    bias: np.ndarray | None = field(default=None, repr=False)
    scale: float = 1.0
    weight_bits: int = 8
    input_bits: int = 2
    activation: str = "none"
    output_bits: int = 0
    thresholds: np.ndarray | None = field(default=None, repr=False)
    pointwise: bool = False

    @classmethod
    def read(cls, fields: Fields, arrays: ArrayFolder) -> Linear:
        inputs, outputs = fields.integer("inputs", 1, _MAX_INPUTS), fields.integer("outputs", 1, MAX_CHANNELS)
        bits = fields.take("weight_bits", "integer", 8, allowed=(1, 8, 32))
        codes = fields.take("input_bits", "integer", 2, allowed=(2, 3, 32) if bits == 32 else (2, 3))
        if bits == 1:
            weights = read_signs(fields, arrays, (outputs,), inputs)
        else:
            weights = read_named(fields, "weights", arrays, (WEIGHTS[bits],), (outputs, inputs))
        if arrays.reading:
            check_sums(fields, weights, bits, codes, inputs)
        bias = None
        if fields.has("bias"):
            bias = read_named(fields, "bias", arrays, ("float32",), (outputs,))
            if not np.isfinite(bias).all():
                fields.fail("bias", "a value is not finite: expected numbers only")
        scale = fields.number("scale", 1.0, MAX_SCALE)
        activation = fields.take("activation", "string", "none", allowed=("none", "clip", "quantise"))
        has_codes = fields.has("thresholds")
        output_bits = fields.take("output_bits", "integer", 0, allowed=(0, 2, 3))
        if (output_bits > 0) != (has_codes or activation == "quantise"):
            fields.fail("output_bits", f'{output_bits}: expected 2 or 3 with thresholds or "quantise", else 0')
        pointwise = fields.take("pointwise", "true or false", False)
        if pointwise and (has_codes or activation != "none"):
            fields.fail("pointwise", "true does not go with thresholds or activation: expected its plain outputs")
        thresholds = None
        if has_codes:
            if bits == 32 or activation != "none" or bias is not None or scale != 1.0:
                fields.fail("thresholds",
                            "expected 1-bit or 8-bit weights, and no scale, bias or activation beside them")
            thresholds = read_thresholds(fields, arrays, outputs, output_bits, INTEGERS)
        return cls(
            inputs, outputs, weights, bias, float(scale), bits, codes, activation, output_bits, thresholds, pointwise
        )

    def write(self, index: int, array: ArrayWriter) -> dict[str, Any]:
        written: dict[str, Any] = {"inputs": self.inputs, "outputs": self.outputs}
        for key in ("weight_bits", "input_bits", "scale", "activation", "output_bits"):
            written[key] = getattr(self, key)
        if self.pointwise:
            written["pointwise"] = True
        return {**written, **write_arrays(self, ("weights", "bias", "thresholds"), index, array)}

    def follow(self, arriving: Signal, refuse: Refuse) -> Signal:
        if arriving.coding not in ("codes", "scores"):
            refuse("type", f'"linear" takes codes or another linear layer\'s results, {arriving.coding} arrive from '
                           f"{arriving.origin}: expected convolutions before it")
        if len(arriving.shape) == 3 and arriving.coding == "scores":
            refuse("type", f"nothing stands behind the pointwise layer {arriving.origin}: expected that to be the last")
        bits = 32 if arriving.coding == "scores" else arriving.bits
        if self.input_bits != bits:
            refuse("input_bits", f"{self.input_bits} does not match the {bits} bits that arrive")
        if self.pointwise:
            return self._at_each_place(arriving, refuse)
        if self.inputs != arriving.values:
            sides = " x ".join(map(str, arriving.shape))
            refuse("inputs", f"{self.inputs} does not match the {arriving.values} values that arrive ({sides})")
        largest = self._reach(arriving.largest, refuse)
        if self.thresholds is not None:
            return Signal("codes", (self.outputs,), self.output_bits, 2.0**self.output_bits - 1)
        return Signal("scores", (self.outputs,), 64, largest)

    def _at_each_place(self, arriving: Signal, refuse: Refuse) -> Signal:
        if arriving.coding != "codes" or len(arriving.shape) != 3:
            refuse("pointwise", "true is not allowed here: expected it of the last layer, behind maps")
        if self.inputs != arriving.shape[2]:
            refuse("inputs", f"{self.inputs} does not match the {arriving.shape[2]} channels that arrive")
        return Signal("scores", (*arriving.shape[:2], self.outputs), 64, self._reach(arriving.largest, refuse))

    def _reach(self, arriving: float, refuse: Refuse) -> float:
        """How far from 0 results may be; sums and outputs of floats must stay numbers, whatever arrives."""
        weight = 1.0
        if self.weight_bits != 1:  # no copy is made of large arrays
            weight = max(abs(float(self.weights.max())), abs(float(self.weights.min())))
        sums = self.inputs * weight * arriving
        largest = sums * self.scale
        if self.bias is not None:
            largest += float(np.abs(self.bias).max())
        if not max(sums, largest) <= LARGEST:
            refuse("scale", f"{self.scale:g} with these weights and bias lets outputs reach {max(sums, largest):.3g}: "
                            f"expected at most {LARGEST:g}")
        return largest if self.activation == "none" else min(largest, 1.0)

    @property
    def weight_count(self) -> int:
        return self.inputs * self.outputs

    def macs(self, arriving: Signal) -> int:
        return self.weight_count * (arriving.shape[0] * arriving.shape[1] if self.pointwise else 1)

    def describe(self, arriving: Signal) -> dict[str, Any]:
        keys = ("inputs", "outputs", "weight_bits", "input_bits", "activation", "output_bits")
        return {key: getattr(self, key) for key in keys}

    @classmethod
    def compile(cls, layers: Sequence[Layer], arriving: Signal) -> Kernel:
        return _LinearKernel(layers)  # type: ignore[arg-type]


class _LinearKernel(Kernel):
    """Linear layers one behind the other.

    Sums of 1-bit and 8-bit weights are exact integers, then scaled in float64; those of float weights are
    float32, whose last bits depend on the order of summation.
    """

    def __init__(self, layers: Sequence[Linear]) -> None:
        from ..kernels import LinearLayer  # loaded when something is computed

        self.rows = tuple(range(len(layers)))
        # Arrays of an import may lie transposed in the foreign file.
        ready = [replace(layer, weights=np.require(layer.weights, requirements=["C", "A"])) for layer in layers]
        self._steps = [(layer, LinearLayer(layer)) for layer in ready]

    def run(
        self,
        values: np.ndarray,
        out: np.ndarray | None = None,
        sums: np.ndarray | None = None,
        seconds: np.ndarray | None = None,
    ) -> np.ndarray:
        """float64 (N, outputs) of uint8 codes (N, H, W, C) or of numbers (N, inputs); codes behind thresholds.

        Of a pointwise layer (N, H, W, outputs).
        """
        places = values.shape[:3] if self._steps[0][0].pointwise else values.shape[:1]
        values = values.reshape(int(np.prod(places)), int(np.prod(values.shape[len(places) :])))
        layer = None
        for index, (layer, kernel) in enumerate(self._steps):
            begun = perf_counter()
            if layer.weight_bits == 32:
                values = np.ascontiguousarray(values, np.float32)
            products = kernel.run(values)
            values = products if layer.thresholds is not None else _activate(layer, products)
            if seconds is not None:
                seconds[index] = perf_counter() - begun
        found = values if layer is not None and layer.thresholds is not None else values.astype(np.float64)
        found = found.reshape(*places, found.shape[-1])
        if out is None:
            return found
        out[...] = found
        return out


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
