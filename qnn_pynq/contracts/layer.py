"""The contract of a layer type: its fields, its place in the chain, its shape rule, its work and its kernel.

A type of layer has one home, the class that stands for it. Whatever else asks (readers, chain, engines, tables,
profiles, digests) asks this contract. Another package adds a type by an entry point of the group
"qnn_pynq.layers", whose name is the `type` in network.json and whose object is the class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, ClassVar, NoReturn, Sequence

import numpy as np

from ..files.fields import Fields
from ..files.npyfile import ArrayFolder

if TYPE_CHECKING:
    from ..kernels import Encoder

__all__ = ["ArrayWriter", "Kernel", "Layer", "Refuse", "Signal"]

ArrayWriter = Callable[[str, np.ndarray], str]
Refuse = Callable[[str, str], NoReturn]


@dataclass(frozen=True)
class Signal:
    """What flows from one layer to the next, for one picture.

    Attributes
    ----------
    coding : str
        "pixels" (uint8), "floats" (float32), "binary", "ternary", "codes" (unsigned), "sums" (int32) or "scores"
        (float64); a foreign layer type may name another one for a foreign layer behind it.
    shape : tuple of int
        (height, width, channels) or (neurons,).
    bits : int
        Of one value.
    largest : float
        No value is further from 0.
    origin : str
        Where it comes from, for messages.
    spare : bool
        The layer behind it may take more values than these; those are 0.
    """

    coding: str
    shape: tuple[int, ...]
    bits: int
    largest: float
    origin: str = "input.encoding"
    spare: bool = False

    @property
    def values(self) -> int:
        """How many."""
        count = 1
        for side in self.shape:
            count *= side
        return count


class Kernel(ABC):
    """Consecutive layers of one kind in software, ready to run.

    Attributes
    ----------
    rows : tuple of int
        The layers, counted from the first of this kernel, with which a time of its own begins.
    threads : int
        That may share a batch.
    """

    rows: tuple[int, ...] = (0,)
    threads = 1

    @abstractmethod
    def run(
        self,
        values: np.ndarray,
        out: np.ndarray | None = None,
        sums: np.ndarray | None = None,
        seconds: np.ndarray | None = None,
    ) -> np.ndarray:
        """Compute a batch.

        Parameters
        ----------
        values : array (N, ...)
            As the signal that arrives has them: uint8 pixels and codes (N, H, W, C), float32 maps; bits are packed,
            uint8 (N, bytes), little-endian.
        out : array, optional
            Gets the results, and is returned.
        sums : int32 (N, outputs), optional
            Gets the sums behind the last layer's bits, where `gives_sums`.
        seconds : float64 (len(rows),), optional
            Gets the processor's time of each of `rows`, for the batch.
        """

    @property
    def gives_sums(self) -> bool:
        """Whether `run` fills `sums`."""
        return False

    def take_pictures(self, encoder: Encoder) -> bool:
        """Let `run` take pictures, uint8 (N, pixels), and encode them on the way; False where it cannot."""
        return False

    def bind(self, out: np.ndarray) -> Callable[[np.ndarray], None] | None:
        """A function of one picture that writes its bits to `out`, behind `take_pictures`; None where there is none."""
        return None


class Layer(ABC):
    """A layer: frozen data, and what there is to know of its type.

    Attributes
    ----------
    type : str
        In network.json.
    label : str
        In profiles and tables; by default the type.
    tail : bool
        Computed by the processor, behind whatever engine computes the layers before.
    """

    type: ClassVar[str] = ""
    label: ClassVar[str] = ""
    tail: ClassVar[bool] = False
    weight_bits: int
    _arrays: ClassVar[tuple[str, ...]] = ("weights", "thresholds")

    # -- network.json ------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def read(cls, fields: Fields, arrays: ArrayFolder) -> Layer:
        """The layer that one object of "layers" describes, `type` taken already.

        Called twice: `arrays` first has stand-ins by the files' headers, and only once all of the network fits together
        their contents; what looks into an array asks `arrays.reading`.

        Raises
        ------
        DescriptorError
        """

    @abstractmethod
    def write(self, index: int, array: ArrayWriter) -> dict[str, Any]:
        """The object of "layers", without `type`; `array` saves an array under a name and returns the name."""

    # -- the chain ---------------------------------------------------------------------------------------

    @abstractmethod
    def follow(self, arriving: Signal, refuse: Refuse) -> Signal:
        """What the layer makes of what arrives.

        `refuse(field, problem)` raises DescriptorError for what does not fit: it names the layer itself.
        """

    @property
    def begins_segment(self) -> bool:
        """Whether another overlay may begin here."""
        return False

    # -- work --------------------------------------------------------------------------------------------

    @property
    def weight_count(self) -> int:
        """Weights, each counted once."""
        return 0

    def macs(self, arriving: Signal) -> int:
        """Multiply-accumulates of one picture."""
        return 0

    def describe(self, arriving: Signal) -> dict[str, Any]:
        """Fields that a table of layers shows beside shapes, weights and MACs."""
        return {}

    def arrays(self) -> tuple[np.ndarray, ...]:
        """What decides the layer's answers: known answers belong to these alone."""
        found = (getattr(self, name, None) for name in self._arrays)
        return tuple(array for array in found if array is not None)

    def margins(self) -> tuple[np.ndarray, float]:
        """Of a layer whose outputs are bits: (lowest threshold of each, int64 or float64; spread of a sum).

        Probabilities are made of how far the sums that `Kernel.run` gives lie above the thresholds, in spreads.
        """
        return np.zeros(1), 1.0

    # -- software ----------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def compile(cls, layers: Sequence[Layer], arriving: Signal) -> Kernel:
        """The kernel of layers one behind the other that share this very method."""

    # -- faults ------------------------------------------------------------------------------------------

    def held(self) -> tuple[tuple[bool, int, int], ...]:
        """(thresholds?, outputs, bits of one output) of what a circuit holds; empty where it holds nothing."""
        return ()

    def flip(self, thresholds: bool, output: int, bit: int) -> Layer:
        """The layer with one bit of what is `held` turned round."""
        return self
