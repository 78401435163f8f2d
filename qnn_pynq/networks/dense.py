"""The layer type "dense": 1-bit weights on bits or ternary values, as the LFC circuits compute it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Callable, Sequence

import numpy as np

from ..contracts.codes import THRESHOLDS
from ..contracts.layer import ArrayWriter, Kernel, Layer, Refuse, Signal
from ..contracts.network import Network
from ..files.fields import Fields, item_path
from ..files.npyfile import ArrayFolder
from .arrays import INTEGERS, read_signs, write_arrays

if TYPE_CHECKING:  # the kernels are loaded when something is computed
    from ..kernels import DenseStack, Encoder

__all__ = ["MAX_WIDTH", "Dense", "dense_layers", "flipped_threshold"]

MAX_WIDTH = 0x7FFF  # sums are 16-bit
_SIGNALS = {"binary": ("binary", 1, 1.0), "ternary": ("ternary", 2, 1.0), "none": ("sums", 32, float(MAX_WIDTH))}


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """A fully connected layer: fired_t = thresholds[t] < accumulator, strict, both as int16.

    Attributes
    ----------
    weights
        uint8 (outputs, ceil(inputs/8)): little-endian bit strings, 1 = +1, 0 = -1, pad bits 0.
    thresholds
        int (outputs, T), T = 1 for output "binary", 2 for "ternary"; None for "none" (raw sums).
    accumulator
        "popcount" of XNOR, or signed "sum" (binary inputs count as -1/+1).
    """

    type = "dense"
    label = "dense"

    inputs: int
    outputs: int
    weights: np.ndarray = field(repr=False)
    thresholds: np.ndarray | None = field(repr=False)
    weight_bits: int = 1
    input: str = "binary"
    accumulator: str = "popcount"
    output: str = "binary"

    @classmethod
    def read(cls, fields: Fields, arrays: ArrayFolder) -> Dense:
        inputs = fields.integer("inputs", 1, MAX_WIDTH)
        outputs = fields.integer("outputs", 1, MAX_WIDTH)
        bits = fields.take("weight_bits", "integer", 1, allowed=(1,))
        code = fields.take("input", "string", allowed=("binary", "ternary"))
        accumulator = fields.take("accumulator", "string", allowed=("popcount", "sum"))
        output = fields.take("output", "string", allowed=tuple(THRESHOLDS))
        if accumulator == "popcount" and code != "binary":
            fields.fail("accumulator", f'"popcount" does not go with input "{code}": expected "sum"')
        weights = read_signs(fields, arrays, (outputs,), inputs)
        thresholds = None
        name = fields.name("thresholds", None)
        if output == "none" and name is not None:
            fields.fail("thresholds", f'"{name}" does not go with output "none": expected no thresholds')
        if output != "none":
            if name is None:
                fields.fail("thresholds", f'missing: output "{output}" needs the name of a .npy file')
            where = item_path(fields.where, "thresholds")
            thresholds = arrays.array(name, INTEGERS, (outputs, THRESHOLDS[output]), where)
        return cls(inputs, outputs, weights, thresholds, bits, code, accumulator, output)

    def write(self, index: int, array: ArrayWriter) -> dict[str, Any]:
        written: dict[str, Any] = {"inputs": self.inputs, "outputs": self.outputs}
        written.update(write_arrays(self, ("weights", "thresholds"), index, array))
        for key in ("weight_bits", "input", "accumulator", "output"):
            written[key] = getattr(self, key)
        return written

    def follow(self, arriving: Signal, refuse: Refuse) -> Signal:
        if arriving.coding not in ("binary", "ternary") or len(arriving.shape) != 1:
            refuse("type", f'"dense" takes bits or ternary values, {arriving.coding} arrive from {arriving.origin}: '
                           'expected input.encoding "threshold" or "table", and dense layers alone')
        count = arriving.values
        if count > self.inputs and arriving.spare:
            refuse("inputs", f"{self.inputs} are too few for the {count} bits of {arriving.origin}")
        if count != self.inputs and not arriving.spare:
            refuse("inputs", f"{self.inputs} does not match {arriving.origin}.outputs {count}")
        if arriving.coding != self.input:
            refuse("input", f'"{self.input}" does not match {arriving.origin}, which gives "{arriving.coding}"')
        coding, bits, largest = _SIGNALS[self.output]
        return Signal(coding, (self.outputs,), bits, largest)

    @property
    def weight_count(self) -> int:
        return self.inputs * self.outputs

    def macs(self, arriving: Signal) -> int:
        return self.weight_count

    def describe(self, arriving: Signal) -> dict[str, Any]:
        return {
            "inputs": self.inputs,
            "outputs": self.outputs,
            "weight_bits": self.weight_bits,
            "coding": f"{self.input} to {self.output}, {self.accumulator}",
            "thresholds": 0 if self.thresholds is None else self.thresholds.shape[1],
        }

    def margins(self) -> tuple[np.ndarray, float]:
        low = np.asarray(self.thresholds)[:, 0].astype(np.int64)
        low = (low + 0x8000) % 0x10000 - 0x8000  # as 16-bit two's complement, like the circuit
        # Sums of random +-1 products spread by the root of their number.
        return low, float(np.sqrt(self.inputs)) / (2.0 if self.accumulator == "popcount" else 1.0)

    @classmethod
    def compile(cls, layers: Sequence[Layer], arriving: Signal) -> Kernel:
        return _DenseKernel(layers)

    def held(self) -> tuple[tuple[bool, int, int], ...]:
        if self.thresholds is None:
            return ()
        return ((False, self.outputs, self.inputs), (True, self.outputs, 16 * self.thresholds.shape[1]))

    def flip(self, thresholds: bool, output: int, bit: int) -> Dense:
        if thresholds:
            return replace(self, thresholds=flipped_threshold(self.thresholds, output, bit))
        weights = self.weights.copy()
        weights[output, bit // 8] ^= np.uint8(1 << bit % 8)
        return replace(self, weights=weights)


def dense_layers(network: Network) -> tuple[Dense, ...]:
    """The dense layers of a network: all, or none where it is of another kind."""
    return tuple(layer for layer in network.layers if isinstance(layer, Dense))


def flipped_threshold(thresholds: Any, output: int, bit: int) -> np.ndarray:
    """Thresholds with one bit turned round, each of 16 bits as the circuits keep them."""
    changed: np.ndarray = thresholds.copy()
    level, place = divmod(bit, 16)
    value = (int(changed[output, level]) ^ 1 << place) & 0xFFFF
    changed[output, level] = (value ^ 0x8000) - 0x8000
    return changed


class _DenseKernel(Kernel):
    """Dense layers in one C call, behind the encoder where they come first."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(layers)
        self._sums = self._layers[-1].output == "none"  # type: ignore[attr-defined]
        self._stack: DenseStack | None = None
        self._run: Callable[..., np.ndarray] = self._unfused

    @property
    def gives_sums(self) -> bool:
        return True

    def take_pictures(self, encoder: Encoder) -> bool:
        self._stack = _stack(self._layers, encoder)
        self._run = self._stack.run_pictures
        return True

    def bind(self, out: np.ndarray) -> Callable[[np.ndarray], None] | None:
        return None if self._stack is None or self._sums else self._stack.bind(out)

    def run(
        self,
        values: np.ndarray,
        out: np.ndarray | None = None,
        sums: np.ndarray | None = None,
        seconds: np.ndarray | None = None,
    ) -> np.ndarray:
        begun = perf_counter()
        if self._sums:
            found = self._run(values, None, out if sums is None else sums, self.threads)
        else:
            found = self._run(values, out, sums, self.threads)
        if seconds is not None:
            seconds[0] = perf_counter() - begun
        return found

    def _unfused(self, values: np.ndarray, *others: Any) -> np.ndarray:
        """Bits that something else made."""
        stack = self._stack = _stack(self._layers)
        self._run = stack.run
        return stack.run(values, *others)


def _stack(layers: Sequence[Layer], encoder: Encoder | None = None) -> DenseStack:
    from ..kernels import DenseStack  # not before: catalogues need no kernels

    return DenseStack(layers, encoder)
