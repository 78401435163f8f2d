"""From what an engine gives to classes, scores and probabilities, as the network's decode rule says."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from ..contracts.network import Network
from ..engines import Engine, EngineResult
from ..errors import ScoresUnavailableError, UnsupportedNetworkError
from ..kernels import highest_class
from ..networks.rows import Row, compile_layers

__all__ = ["Decoder", "Features", "HighestBit", "LargestSum", "make_decoder", "softmax"]


def softmax(values: np.ndarray) -> np.ndarray:
    """Probabilities of the last axis; the largest value is taken off first, so nothing overflows."""
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    found: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return found


class Decoder(ABC):
    """One decode rule for one network on one engine.

    Attributes
    ----------
    kinds : tuple of str
        Values of an engine that the rule reads.
    stage : str
        What the time behind the engine is booked as.
    last_wins : bool
        Of equal scores the highest class number is the answer; else the lowest.
    rows : list of Row
        Kernels of the layers that the engine leaves.
    """

    kinds: tuple[str, ...] = ("codes", "sums", "scores")
    stage = "tail"
    last_wins = False

    def __init__(self, network: Network, engine: Engine) -> None:
        if engine.kind not in self.kinds:
            raise UnsupportedNetworkError(
                f"network {network.name!r}: {engine.name} gives {engine.kind}, decode rule "
                f'"{network.decode.rule}" reads {" or ".join(self.kinds)}')
        self.network = network
        first = len(network.layers) - len(engine.after)
        self.rows: list[Row] = compile_layers(engine.after, network.signals[first:], first)

    def outputs(self, result: EngineResult) -> np.ndarray:
        """What the other methods take: the engine's values, behind the layers that it leaves."""
        values = result.values
        for row in self.rows:
            values = row.kernel.run(values)
        return values

    @abstractmethod
    def indices(self, outputs: np.ndarray) -> tuple[np.ndarray, int]:
        """(class numbers intp (n,), number of answers for which no neuron fired)."""

    @abstractmethod
    def scores(self, outputs: np.ndarray) -> np.ndarray:
        """(n, classes), the higher the better."""

    def fired(self, scores: np.ndarray) -> np.ndarray:
        """bool (n,): False where nothing fired, so that the answer stands for nothing."""
        return np.ones(len(scores), bool)

    def ranks(self, engine: Engine) -> bool:
        """Whether there are probabilities; ScoresUnavailableError where there are no classes."""
        return True

    @abstractmethod
    def probabilities(self, result: EngineResult, outputs: np.ndarray) -> np.ndarray | None:
        """float64 (n, classes); None where the result does not say them."""


class HighestBit(Decoder):
    """The rule "highest-bit": class = highest set bit % classes, level = highest set bit // classes.

    Only the first levels * classes bits count. No bit set: class 0, not fired.
    """

    kinds = ("words",)
    stage = "unpack"
    last_wins = True

    def __init__(self, network: Network, engine: Engine) -> None:
        super().__init__(network, engine)
        count, levels = len(network.classes), network.decode.levels
        self.classes = count
        self.levels = levels
        self.mask = (1 << count * levels) - 1
        self.by_length = (0, *(j % count for j in range(count * levels)))
        """Class by the bit length of a masked word."""
        low, spread = network.layers[-1].margins()
        self._base = low[:count]
        scale = network.decode.scale
        self.scale = 1.0 / spread if scale is None else float(scale)  # the descriptor's is calibrated

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

    def ranks(self, engine: Engine) -> bool:
        return engine.gives_sums

    def probabilities(self, result: EngineResult, outputs: np.ndarray) -> np.ndarray | None:
        """softmax(scale * (sum - lowest threshold)), where the engine gave sums.

        The scale is the descriptor's, where it has one (calibrated), else 1 / standard deviation of a sum
        of random products (a plain ranking, not calibrated).
        """
        if result.sums is None:
            return None
        return softmax(self.scale * (result.sums[:, : self.classes] - self._base))


class LargestSum(Decoder):
    """The rule "largest-sum": the class of the largest output, the first of equal ones."""

    def __init__(self, network: Network, engine: Engine) -> None:
        super().__init__(network, engine)
        self.scale = 1.0 if network.decode.scale is None else float(network.decode.scale)

    def outputs(self, result: EngineResult) -> np.ndarray:
        """float64 (n, classes)."""
        return super().outputs(result).astype(np.float64, copy=False)

    def indices(self, outputs: np.ndarray) -> tuple[np.ndarray, int]:
        return outputs.argmax(axis=1), 0

    def scores(self, outputs: np.ndarray) -> np.ndarray:
        """float64 (n, classes): the outputs themselves."""
        return outputs

    def probabilities(self, result: EngineResult, outputs: np.ndarray) -> np.ndarray | None:
        """softmax(scale * outputs)."""
        return softmax(self.scale * outputs)


class Features(Decoder):
    """The rule "features": the network ends in codes, or in what the layers behind them make of them; no classes."""

    def _none(self) -> ScoresUnavailableError:
        return ScoresUnavailableError(
            f"network {self.network.name} ends in features, it names no classes: use features(), or give it a tail")

    def indices(self, outputs: np.ndarray) -> tuple[np.ndarray, int]:
        raise self._none()

    def scores(self, outputs: np.ndarray) -> np.ndarray:
        raise self._none()

    def ranks(self, engine: Engine) -> bool:
        raise self._none()

    def probabilities(self, result: EngineResult, outputs: np.ndarray) -> np.ndarray | None:
        raise self._none()


_RULES: dict[str, type[Decoder]] = {"highest-bit": HighestBit, "largest-sum": LargestSum, "features": Features}


def make_decoder(network: Network, engine: Engine) -> Decoder:
    """The decoder of the network's rule, for an engine that is configured for it."""
    return _RULES[network.decode.rule](network, engine)
