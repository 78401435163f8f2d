"""From what an engine gives to classes, scores and probabilities, as the network's decode rule says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Callable

import numpy as np

from ..errors import ScoresUnavailableError
from ..kernels import highest_class
from ..network import Linear, Network
from .base import EngineResult
from .tail import Tail, softmax

__all__ = ["Decoder", "Features", "HighestBit", "LargestSum", "make_decoder"]


class Decoder(ABC):
    """One decode rule for one network.

    Attributes
    ----------
    bits : int
        Output bits that count, 0 where the engine gives no words.
    last_wins : bool
        Of equal scores the highest class number is the answer; else the lowest.
    """

    bits = 0
    last_wins = False

    @abstractmethod
    def outputs(self, result: EngineResult) -> np.ndarray:
        """What the other methods take: words, or the tail's outputs."""

    @abstractmethod
    def indices(self, outputs: np.ndarray) -> tuple[np.ndarray, int]:
        """(class numbers intp (n,), number of answers for which no neuron fired)."""

    @abstractmethod
    def scores(self, outputs: np.ndarray) -> np.ndarray:
        """(n, classes), the higher the better."""

    def fired(self, scores: np.ndarray) -> np.ndarray:
        """bool (n,): False where nothing fired, so that the answer stands for nothing."""
        return np.ones(len(scores), bool)


class HighestBit(Decoder):
    """The rule "highest-bit": class = highest set bit % classes, level = highest set bit // classes.

    Only the first levels * classes bits count. No bit set: class 0, not fired.
    """

    last_wins = True

    def __init__(self, network: Network) -> None:
        count, levels = len(network.classes), network.decode.levels
        self.classes = count
        self.levels = levels
        self.bits = count * levels
        self.mask = (1 << self.bits) - 1
        self.by_length = (0, *(j % count for j in range(count * levels)))
        """Class by the bit length of a masked word."""
        last = network.dense[-1]
        low = np.asarray(last.thresholds)[:count, 0].astype(np.int64)
        self._base = (low + 0x8000) % 0x10000 - 0x8000  # as 16-bit two's complement, like the circuit
        # Without a calibrated scale: sums of random +-1 products spread by the root of their number.
        spread = 2.0 if last.accumulator == "popcount" else 1.0
        scale = network.decode.scale
        self.scale = spread / float(np.sqrt(last.inputs)) if scale is None else float(scale)

    def outputs(self, result: EngineResult) -> np.ndarray:
        words: np.ndarray = result.words
        return words

    def indices(self, outputs: np.ndarray) -> tuple[np.ndarray, int]:
        return highest_class(outputs, self.classes, self.mask)

    def scores(self, outputs: np.ndarray) -> np.ndarray:
        """int8 (n, classes): highest fired level of each class plus 1, 0 for none."""
        bits = np.unpackbits(
            outputs.astype("<u8").view(np.uint8).reshape(len(outputs), 8), axis=1, bitorder="little"
        )
        levels = bits[:, : self.levels * self.classes].reshape(len(outputs), self.levels, self.classes)
        heights = np.arange(1, self.levels + 1, dtype=np.int8)[:, None]
        scores: np.ndarray = (levels.astype(np.int8) * heights).max(axis=1)
        return scores

    def fired(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores.any(axis=1))

    def probabilities(self, sums: np.ndarray) -> np.ndarray:
        """float64 (n, classes): softmax(scale * (sum - lowest threshold)).

        The scale is the descriptor's, where it has one (calibrated), else 1 / standard deviation of a sum
        of random products (a plain ranking, not calibrated).
        """
        return softmax(self.scale * (sums[:, : self.classes] - self._base))


class LargestSum(Decoder):
    """The rule "largest-sum": the class of the largest output of the tail, the first of equal ones."""

    def __init__(self, network: Network) -> None:
        self._tail = Tail([layer for layer in network.layers if isinstance(layer, Linear)])
        self.scale = 1.0 if network.decode.scale is None else float(network.decode.scale)

    def outputs(self, result: EngineResult) -> np.ndarray:
        """float64 (n, classes)."""
        return self._tail.run(result.codes)

    def indices(self, outputs: np.ndarray) -> tuple[np.ndarray, int]:
        return outputs.argmax(axis=1), 0

    def scores(self, outputs: np.ndarray) -> np.ndarray:
        """float64 (n, classes): the outputs themselves."""
        return outputs

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """float64 (n, classes): softmax(scale * outputs)."""
        return softmax(self.scale * outputs)


class Features(Decoder):
    """The rule "features": the network ends in codes, or in what a pointwise layer makes of them; no classes."""

    def __init__(self, network: Network) -> None:
        self._name = network.name
        self._tail = Tail([layer for layer in network.layers if isinstance(layer, Linear)])

    def features(self, codes: np.ndarray) -> np.ndarray:
        """The codes themselves, or float64 (n, H, W, outputs) of the pointwise layer."""
        return self._tail.run(codes) if self._tail.layers else codes

    def outputs(self, result: EngineResult) -> np.ndarray:
        raise ScoresUnavailableError(
            "network {} ends in features, it names no classes: use features(), or give it a tail".format(self._name)
        )

    def indices(self, outputs: np.ndarray) -> tuple[np.ndarray, int]:
        raise NotImplementedError

    def scores(self, outputs: np.ndarray) -> np.ndarray:
        raise NotImplementedError


_RULES: dict[str, Callable[[Network], Decoder]] = {
    "highest-bit": HighestBit, "largest-sum": LargestSum, "features": Features,
}


def make_decoder(network: Network) -> Decoder:
    """The decoder of the network's rule."""
    return _RULES[network.decode.rule](network)
