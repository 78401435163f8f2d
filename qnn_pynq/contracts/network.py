"""What a network is made of: frozen data that every part of the package passes on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..files.fields import fail
from .layer import Layer, Signal

__all__ = ["Crop", "Decode", "Encoding", "Framing", "InputSpec", "Letterbox", "Network", "Segment", "walk"]


@dataclass(frozen=True, eq=False)
class Encoding:
    """How an H*W*channels uint8 picture becomes the first layer's input.

    `kind` "threshold": bit k = pixel[k] >= `threshold`; bits beyond are 0.
    `kind` "table": bit k = pixel[`pixels`[k]] >= `thresholds`[k], with uint16 (n,) and uint8 (n,).
    `kind` "pixels": the uint8 pixels themselves, for a convolution with 16-bit weights.
    `kind` "mean": float32 (pixel - `mean`) / `divisor`, channels in `order` ("rgb" or "bgr"); `mean` is
    float32 (H, W, channels) in that order.
    `kind` "codes": no picture, but a map of codes below 2**`bits`, for a convolution with 1-bit weights.
    """

    kind: str
    threshold: int | None = None
    pixels: np.ndarray | None = field(default=None, repr=False)
    thresholds: np.ndarray | None = field(default=None, repr=False)
    mean: np.ndarray | None = field(default=None, repr=False)
    divisor: float = 1.0
    order: str = "rgb"
    bits: int = 8

    @property
    def levels(self) -> int:
        """Values that an element of the input may have: 256 of a pixel, 2**bits of a code."""
        return 2**self.bits if self.kind == "codes" else 256


@dataclass(frozen=True)
class Crop:
    """The picture is resized until its shorter side has `short_side` pixels; the middle is taken.

    `filter`: "lanczos" or "bicubic" as Pillow has them, or "opencv-cubic", which stands for the whole
    published rule of DoReFa-Net: float pixels, a = -0.75, no enlarging unless a side is too short.
    """

    short_side: int
    filter: str = "lanczos"


@dataclass(frozen=True)
class Letterbox:
    """The whole picture, its aspect kept, in the middle of grey level `fill`; resized as darknet does, in floats."""

    fill: float = 127.5


@dataclass(frozen=True)
class Framing:
    """The object fills (height, width) and its "mass" or "box" centre lies in the picture's middle."""

    object: tuple[int, int]
    centre: str


@dataclass(frozen=True, eq=False)
class InputSpec:
    """The picture that a network takes; without `framing`, `crop` or `letterbox` the whole picture."""

    size: tuple[int, int]
    channels: int
    polarity: str
    framing: Framing | None
    encoding: Encoding
    crop: Crop | None = None
    letterbox: Letterbox | None = None

    @property
    def pixels(self) -> int:
        """Bytes of one picture: height * width * channels."""
        return self.size[0] * self.size[1] * self.channels

    @property
    def signal(self) -> Signal:
        """What arrives at the first layer."""
        coding = self.encoding
        shape = (self.size[0], self.size[1], self.channels)
        if coding.kind == "pixels":
            return Signal("pixels", shape, 8, 255.0)
        if coding.kind == "codes":
            return Signal("codes", shape, coding.bits, 2.0**coding.bits - 1)
        if coding.kind == "mean":
            mean = 0.0 if coding.mean is None else float(np.abs(coding.mean).max())
            return Signal("floats", shape, 32, (255.0 + mean) / coding.divisor)
        count = self.pixels if coding.pixels is None else len(coding.pixels)
        return Signal("binary", (count,), 1, 1.0, spare=True)


@dataclass(frozen=True)
class Decode:
    """From result to class.

    "highest-bit": class = highest set bit % classes, of levels*classes bits.
    "largest-sum": the class with the largest output of the last layer, the first of equal ones;
    probabilities are softmax(scale * outputs).
    "features": no classes; the network ends in codes, or in the outputs of a pointwise `Linear`.
    """

    rule: str = "highest-bit"
    levels: int = 1
    scale: float | None = None


@dataclass(frozen=True)
class Segment:
    """The layers from index `first` on, up to the next segment, run on another overlay.

    Codes keep their values: a 2-bit code is the same 3-bit code on an overlay of 3 bits.
    """

    first: int
    overlay: str


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network. Arrays of a loaded one are read-only.

    Without `segments` all layers that an overlay computes run on the same one.
    """

    name: str
    title: str
    description: str
    overlays: tuple[str, ...]
    input: InputSpec
    layers: tuple[Layer, ...]
    decode: Decode
    classes: tuple[str, ...]
    provenance: dict[str, Any] = field(default_factory=dict, repr=False)
    path: Path | None = None
    selftest: str | None = None
    segments: tuple[Segment, ...] = ()

    def __repr__(self) -> str:
        return f"Network({self.name!r}, {len(self.layers)} layers, {len(self.classes)} classes)"

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """What arrives at each layer, and what the last one gives.

        Raises
        ------
        DescriptorError
            The layers do not fit one another.
        """
        return walk(self, f"network {self.name}")

    @property
    def output_neurons(self) -> int:
        """Neurons of the last layer that the decode rule "highest-bit" looks at."""
        return self.decode.levels * len(self.classes)


def walk(network: Network, source: str) -> tuple[Signal, ...]:
    """The signals of a network; messages name `source`."""
    signals = [network.input.signal]
    for index, layer in enumerate(network.layers):
        given = layer.follow(signals[-1], partial(_refuse, source, index))
        signals.append(replace(given, origin=f"layers[{index}]"))
    return tuple(signals)


def _refuse(source: str, index: int, where: str, problem: str) -> NoReturn:
    fail(source, f"layers[{index}].{where}", problem)
