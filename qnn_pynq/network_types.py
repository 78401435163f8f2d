"""What a network is made of: the frozen types that `network` reads and writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Decode", "Dense", "Encoding", "Framing", "InputSpec", "Layer", "Network"]


@dataclass(frozen=True, eq=False)
class Encoding:
    """How an H*W*channels uint8 picture becomes the first layer's bits; bits beyond are 0.

    `kind` "threshold": bit k = pixel[k] >= `threshold`.
    `kind` "table": bit k = pixel[`pixels`[k]] >= `thresholds`[k], with uint16 (n,) and uint8 (n,).
    """

    kind: str
    threshold: int | None = None
    pixels: np.ndarray | None = field(default=None, repr=False)
    thresholds: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Framing:
    """The object fills (height, width) and its "mass" or "box" centre lies in the picture's middle."""

    object: tuple[int, int]
    centre: str


@dataclass(frozen=True, eq=False)
class InputSpec:
    """The picture that a network takes; `framing` None means the whole picture."""

    size: tuple[int, int]
    channels: int
    polarity: str
    framing: Framing | None
    encoding: Encoding

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


Layer = Dense  # convolutions and pools join here, and in network_json's tables


@dataclass(frozen=True)
class Decode:
    """From result to class. "highest-bit": class = highest set bit % classes, of levels*classes bits."""

    rule: str = "highest-bit"
    levels: int = 1
    scale: float | None = None


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network. Arrays of a loaded one are read-only."""

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

    def __repr__(self) -> str:
        return "Network({!r}, {} layers, {} classes)".format(self.name, len(self.layers), len(self.classes))

    @property
    def output_neurons(self) -> int:
        """Neurons of the last layer that the decode rule looks at."""
        return self.decode.levels * len(self.classes)
