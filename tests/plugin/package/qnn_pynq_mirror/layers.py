"""The layer types that the circuit's networks are made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Callable, Sequence

import numpy as np

from qnn_pynq.testing import ArrayFolder, ArrayWriter, Fields, Kernel, Layer, Refuse, Signal

__all__ = ["AbsDiff", "Mirror", "Weigh"]

_MOST = 256  # templates
_FARTHEST = 1 << 24  # of an offset from 0: sums stay far inside of 32 bits


class _Each(Kernel):
    """Layers of one type, one after the other, each as a function of a batch."""

    def __init__(self, steps: Sequence[Callable[[np.ndarray], np.ndarray]]) -> None:
        self.rows = tuple(range(len(steps)))
        self._steps = tuple(steps)

    def run(self, values: np.ndarray, out: Any = None, sums: Any = None, seconds: Any = None) -> np.ndarray:
        for index, step in enumerate(self._steps):
            begun = perf_counter()
            values = step(values)
            if seconds is not None:
                seconds[index] = perf_counter() - begun
        if out is None:
            return values
        out[...] = values
        return out


@dataclass(frozen=True, eq=False)
class Mirror(Layer):
    """Pixels of each line in the opposite order; `axis` 0: the lines."""

    type = "mirror"
    label = "mirror"

    axis: int = 1
    weight_bits: int = 0

    @classmethod
    def read(cls, fields: Fields, arrays: ArrayFolder) -> Mirror:
        return cls(fields.integer("axis", 0, 1, 1))

    def write(self, index: int, array: ArrayWriter) -> dict[str, Any]:
        return {"axis": self.axis}

    def follow(self, arriving: Signal, refuse: Refuse) -> Signal:
        if arriving.coding not in ("pixels", "mirrored"):
            refuse("type", f'"mirror" takes pixels, {arriving.coding} arrive from {arriving.origin}: expected '
                           'input.encoding "pixels"')
        return Signal("mirrored", arriving.shape, 8, 255.0)

    @classmethod
    def compile(cls, layers: Sequence[Layer], arriving: Signal) -> Kernel:
        return _Each([layer._turn for layer in layers])  # type: ignore[attr-defined]

    def _turn(self, pixels: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.flip(pixels, 1 + self.axis))


@dataclass(frozen=True, eq=False)
class AbsDiff(Layer):
    """What the circuit computes: offset - sum(|pixel - template|) for each template.

    Attributes
    ----------
    templates
        uint8 (outputs, height, width).
    offsets
        int32 (outputs,), at most 2**24 from 0.
    """

    type = "absdiff"
    label = "absdiff"
    _arrays = ("templates", "offsets")

    templates: np.ndarray = field(repr=False)
    offsets: np.ndarray = field(repr=False)
    weight_bits: int = 8

    @classmethod
    def read(cls, fields: Fields, arrays: ArrayFolder) -> AbsDiff:
        outputs = fields.integer("outputs", 1, _MOST)
        height, width = fields.pair("size", 64)
        templates = arrays.array(fields.name("templates"), ("uint8",), (outputs, height, width),
                                 f"{fields.where}.templates")
        offsets = arrays.array(fields.name("offsets"), ("int32",), (outputs,), f"{fields.where}.offsets")
        if np.abs(offsets.astype(np.int64)).max() > _FARTHEST:
            fields.fail("offsets", f"one is {np.abs(offsets.astype(np.int64)).max()} from 0: expected at most "
                                   f"{_FARTHEST}")
        return cls(templates, offsets)

    def write(self, index: int, array: ArrayWriter) -> dict[str, Any]:
        return {
            "outputs": len(self.templates),
            "size": list(self.templates.shape[1:]),
            "templates": array(f"layer{index}-templates.npy", self.templates),
            "offsets": array(f"layer{index}-offsets.npy", self.offsets),
        }

    def follow(self, arriving: Signal, refuse: Refuse) -> Signal:
        if arriving.coding not in ("pixels", "mirrored"):
            refuse("type", f'"absdiff" takes pixels, {arriving.coding} arrive from {arriving.origin}: expected '
                           'input.encoding "pixels"')
        expected = (*self.templates.shape[1:], 1)
        if arriving.shape != expected:
            refuse("size", f"templates of {expected} do not match the {arriving.shape} that arrive")
        return Signal("sums", (len(self.templates),), 32, float(_FARTHEST + 255 * arriving.values))

    @property
    def weight_count(self) -> int:
        return int(self.templates.size)

    def macs(self, arriving: Signal) -> int:
        return self.weight_count

    def describe(self, arriving: Signal) -> dict[str, Any]:
        return {"outputs": len(self.templates), "weight_bits": self.weight_bits}

    @classmethod
    def compile(cls, layers: Sequence[Layer], arriving: Signal) -> Kernel:
        return _Each([layer._compare for layer in layers])  # type: ignore[attr-defined]

    def _compare(self, pixels: np.ndarray) -> np.ndarray:
        found = np.empty((len(pixels), len(self.templates)), np.int32)
        flat = pixels.reshape(len(pixels), -1).astype(np.int16)
        for number, template in enumerate(self.templates):
            found[:, number] = self.offsets[number] - np.abs(flat - template.reshape(-1)).sum(axis=1)
        return found

    def held(self) -> tuple[tuple[bool, int, int], ...]:
        return ((False, len(self.templates), 8 * self.templates[0].size), (True, len(self.templates), 24))

    def flip(self, thresholds: bool, output: int, bit: int) -> AbsDiff:
        if thresholds:
            offsets = self.offsets.copy()
            offsets[output] ^= 1 << bit
            return replace(self, offsets=offsets)
        templates = self.templates.copy()
        templates[output].reshape(-1)[bit // 8] ^= np.uint8(1 << bit % 8)
        return replace(self, templates=templates)


@dataclass(frozen=True, eq=False)
class Weigh(Layer):
    """A tail: each sum times a factor of its own, in float64."""

    type = "weigh"
    label = "weigh"
    tail = True
    _arrays = ("factors",)

    factors: np.ndarray = field(repr=False)
    weight_bits: int = 32

    @classmethod
    def read(cls, fields: Fields, arrays: ArrayFolder) -> Weigh:
        factors = arrays.array(fields.name("factors"), ("float32",), (None,), f"{fields.where}.factors")
        if arrays.reading and not (np.isfinite(factors).all() and (factors > 0).all() and factors.max() < 1e6):
            fields.fail("factors", "expected numbers above 0 and below 1e6")
        return cls(factors)

    def write(self, index: int, array: ArrayWriter) -> dict[str, Any]:
        return {"factors": array(f"layer{index}-factors.npy", self.factors)}

    def follow(self, arriving: Signal, refuse: Refuse) -> Signal:
        if arriving.coding != "sums":
            refuse("type", f'"weigh" takes sums, {arriving.coding} arrive from {arriving.origin}: expected "absdiff" '
                           "before it")
        if arriving.shape != self.factors.shape:
            refuse("factors", f"{len(self.factors)} do not match the {arriving.values} sums that arrive")
        return Signal("scores", arriving.shape, 64, arriving.largest * float(self.factors.max()))

    @property
    def weight_count(self) -> int:
        return len(self.factors)

    def macs(self, arriving: Signal) -> int:
        return len(self.factors)

    @classmethod
    def compile(cls, layers: Sequence[Layer], arriving: Signal) -> Kernel:
        return _Each([layer._weigh for layer in layers])  # type: ignore[attr-defined]

    def _weigh(self, sums: np.ndarray) -> np.ndarray:
        return sums * self.factors.astype(np.float64)
