"""From output words to classes, scores and probabilities, as the network's decode rule says."""

from __future__ import annotations

import numpy as np

from ..kernels import highest_class
from ..network import Network

__all__ = ["Decoder"]


class Decoder:
    """The rule "highest-bit": class = highest set bit % classes, level = highest set bit // classes.

    Only the first levels * classes bits count. No bit set: class 0, not fired.
    """

    def __init__(self, network: Network) -> None:
        count, levels = len(network.classes), network.decode.levels
        self.classes = count
        self.levels = levels
        self.mask = (1 << (count * levels)) - 1
        self.by_length = (0, *(j % count for j in range(count * levels)))
        """Class by the bit length of a masked word."""
        last = network.layers[-1]
        assert last.thresholds is not None
        low = np.asarray(last.thresholds)[:count, 0].astype(np.int64)
        self._base = (low + 0x8000) % 0x10000 - 0x8000  # as 16-bit two's complement, like the circuit
        # Without a calibrated scale: sums of random +-1 products spread by the root of their number.
        spread = 2.0 if last.accumulator == "popcount" else 1.0
        scale = network.decode.scale
        self.scale = spread / float(np.sqrt(last.inputs)) if scale is None else float(scale)

    def indices(self, words: np.ndarray) -> tuple[np.ndarray, int]:
        """(class numbers intp (n,), number of words without a fired neuron)."""
        return highest_class(words, self.classes, self.mask)

    def scores(self, words: np.ndarray) -> np.ndarray:
        """int8 (n, classes): highest fired level of each class plus 1, 0 for none."""
        bits = np.unpackbits(
            words.astype("<u8").view(np.uint8).reshape(len(words), 8), axis=1, bitorder="little"
        )
        fired = bits[:, : self.levels * self.classes].reshape(len(words), self.levels, self.classes)
        heights = np.arange(1, self.levels + 1, dtype=np.int8)[:, None]
        scores: np.ndarray = (fired.astype(np.int8) * heights).max(axis=1)
        return scores

    def probabilities(self, sums: np.ndarray) -> np.ndarray:
        """float64 (n, classes): softmax(scale * (sum - lowest threshold)).

        The scale is the descriptor's, where it has one (calibrated), else 1 / standard deviation of a sum
        of random products (a plain ranking, not calibrated).
        """
        margins = self.scale * (sums[:, : self.classes] - self._base)
        margins -= margins.max(axis=1, keepdims=True)
        np.exp(margins, out=margins)
        margins /= margins.sum(axis=1, keepdims=True)
        return margins
