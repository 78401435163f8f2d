"""The exported network in plain numpy: integers only, every neuron of every layer."""

from __future__ import annotations

from typing import Iterator

import numpy as np

from ...contracts.network import Network
from ...errors import ConversionError
from ...networks.dense import Dense
from ..signs import unpacked_signs
from .encoding import Table, encode

__all__ = ["evaluate", "integer_layers", "table_of", "words_to_classes"]


def integer_layers(network: Network, bits: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (accumulators int32, outputs int8, +-1 or -1/0/+1) of each layer for bits (N, n) of 0 and 1.

    Of a last layer without thresholds the accumulators are the outputs.
    """
    x = bits.astype(np.float32) * 2 - 1
    for layer in network.layers:
        if not isinstance(layer, Dense):
            raise ConversionError(f"{type(layer).__name__.lower()} layer: expected dense ones only")
        w = unpacked_signs(layer.weights, layer.inputs)
        acc = np.rint(x @ w.T).astype(np.int32)  # sums below 2^24: exact in float32
        if layer.accumulator == "popcount":
            acc = (acc + layer.inputs) // 2
        if layer.thresholds is None:
            yield acc, acc
            return
        fired = (layer.thresholds.astype(np.int16).astype(np.int32)[None] < acc[:, :, None]).sum(axis=2)
        out = (fired - 1 if layer.output == "ternary" else 2 * fired - 1).astype(np.int8)
        yield acc, out
        x = out.astype(np.float32)


def words_to_classes(fired: np.ndarray, classes: int, levels: int) -> np.ndarray:
    """Highest fired of the first classes * levels neurons, modulo classes; class 0 where none fired."""
    used = fired[:, : classes * levels] > 0
    highest = used.shape[1] - 1 - used[:, ::-1].argmax(axis=1)
    return np.where(used.any(axis=1), highest % classes, 0)


def evaluate(network: Network, pictures: np.ndarray, batch: int = 2000) -> np.ndarray:
    """Class of each picture by the integer network and its decode rule, in plain numpy."""
    table = table_of(network)
    parts = []
    for start in range(0, len(pictures), batch):
        *_, (_, out) = integer_layers(network, encode(pictures[start : start + batch], table))
        if network.decode.rule == "largest-sum":
            parts.append(out.argmax(axis=1))
        else:
            parts.append(words_to_classes(out, len(network.classes), network.decode.levels))
    return np.concatenate(parts)


def table_of(network: Network) -> Table:
    """The network's input encoding as a table."""
    e = network.input.encoding
    if e.kind == "threshold":
        assert e.threshold is not None
        count = network.input.pixels
        return Table(np.arange(count, dtype=np.uint16), np.full(count, e.threshold, np.uint8), e.threshold)
    assert e.pixels is not None and e.thresholds is not None
    return Table(e.pixels, e.thresholds)
