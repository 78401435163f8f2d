"""What a network is made of: the frozen types that `network` reads and writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import numpy as np

__all__ = ["Conv", "Crop", "Decode", "Dense", "Encoding", "Framing", "InputSpec", "Layer", "Letterbox", "Linear",
           "Network", "Pool", "Segment"]


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


@dataclass(frozen=True, eq=False)
class Dense:
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

    inputs: int
    outputs: int
    weights: np.ndarray = field(repr=False)
    thresholds: np.ndarray | None = field(repr=False)
    weight_bits: int = 1
    input: str = "binary"
    accumulator: str = "popcount"
    output: str = "binary"


@dataclass(frozen=True, eq=False)
class Conv:
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

    def output_size(self, size: int) -> int:
        """Side of the output for a side of the input; below 1 where the kernel does not fit."""
        return (size + sum(self.padding) - self.kernel) // self.stride + 1

    def macs(self, height: int, width: int) -> int:
        """Multiplications for one input of height x width."""
        places = self.output_size(height) * self.output_size(width)
        return places * self.outputs * self.kernel**2 * (self.inputs // self.groups)


@dataclass(frozen=True)
class Pool:
    """Maximum of codes in a size x size window; `padding` (before, after) lines of code 0."""

    size: int
    stride: int
    padding: tuple[int, int] = (0, 0)

    def output_size(self, size: int) -> int:
        """Side of the output for a side of the input; below 1 where the window does not fit."""
        return (size + sum(self.padding) - self.size) // self.stride + 1


@dataclass(frozen=True, eq=False)
class Linear:
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


MAX_SCALE = 1e30  # of outputs: their products stay numbers

Layer = Union[Dense, Conv, Pool, Linear]


@dataclass(frozen=True)
class Decode:
    """From result to class.

    "highest-bit": class = highest set bit % classes, of levels*classes bits.
    "largest-sum": the class with the largest output of the last `Linear`, the first of equal ones;
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
        return "Network({!r}, {} layers, {} classes)".format(self.name, len(self.layers), len(self.classes))

    @property
    def dense(self) -> tuple[Dense, ...]:
        """The dense layers: all, or none in a convolutional network."""
        return tuple(layer for layer in self.layers if isinstance(layer, Dense))

    @property
    def output_neurons(self) -> int:
        """Neurons of the last layer that the decode rule looks at."""
        return self.decode.levels * len(self.classes)
