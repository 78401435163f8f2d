"""What the LFC overlays answer, in plain numpy, written from the published arithmetic alone.

Imports nothing of the package: the driver, the twin and the software engine share code and would
otherwise agree on the same mistake. Layers are any objects with the attributes of a dense layer
(`inputs`, `outputs`, `weights`, `thresholds`, `input`, `accumulator`, `output`).
"""
from __future__ import annotations

from typing import Any, Sequence

import numpy as np

__all__ = ["accumulators", "activations", "decode", "encode", "lfc_sums", "lfc_words"]


def _bits(packed: np.ndarray, count: int) -> np.ndarray:
    """(n, bytes) little-endian bit strings -> (n, count) of 0 and 1."""
    packed = np.asarray(packed, dtype=np.uint8)
    bits = (packed[:, :, None] >> np.arange(8, dtype=np.uint8)) & 1
    return bits.reshape(len(packed), -1)[:, :count].astype(np.int64)


def _wrap16(values: np.ndarray) -> np.ndarray:
    return (np.asarray(values, dtype=np.int64) + 0x8000) % 0x10000 - 0x8000


def encode(pictures: np.ndarray, inputs: int, threshold: int | None = None,
           pixels: np.ndarray | None = None, thresholds: np.ndarray | None = None) -> np.ndarray:
    """(n, pixels) uint8 -> (n, inputs) of 0 and 1."""
    pictures = np.asarray(pictures).reshape(len(pictures), -1).astype(np.int64)
    if threshold is not None:
        fired = pictures >= threshold
    else:
        assert pixels is not None and thresholds is not None
        fired = pictures[:, pixels.astype(np.int64)] >= thresholds.astype(np.int64)
    bits = np.zeros((len(pictures), inputs), dtype=np.int64)
    bits[:, : fired.shape[1]] = fired
    return bits


def accumulators(layer: Any, values: np.ndarray) -> np.ndarray:
    """Sums of one layer, (n, outputs): agreeing bits, or signed products.

    float32 is exact here: every sum stays far below 2**24.
    """
    weights = 2 * _bits(layer.weights, layer.inputs) - 1
    if layer.accumulator == "popcount":
        agree = (2 * values - 1).astype(np.float32) @ weights.T.astype(np.float32)
        return ((layer.inputs + agree.astype(np.int64)) // 2).astype(np.int64)
    signed = 2 * values - 1 if layer.input == "binary" else values
    return (signed.astype(np.float32) @ weights.T.astype(np.float32)).astype(np.int64)


def activations(layer: Any, sums: np.ndarray) -> np.ndarray:
    """Codes that leave a layer: 0/1, or -1/0/+1."""
    fired = _wrap16(layer.thresholds)[None, :, :] < _wrap16(sums)[:, :, None]
    count = fired.sum(axis=2).astype(np.int64)
    return count - 1 if layer.output == "ternary" else count


def lfc_sums(layers: Sequence[Any], bits: np.ndarray) -> np.ndarray:
    """Sums of the last layer, (n, outputs), for (n, inputs) of 0 and 1."""
    values = np.asarray(bits, dtype=np.int64)
    for layer in layers[:-1]:
        values = activations(layer, accumulators(layer, values))
    return accumulators(layers[-1], values)


def lfc_words(layers: Sequence[Any], bits: np.ndarray) -> np.ndarray:
    """Output words, uint64 (n,): bit j is set where neuron j of the last layer fired."""
    fired = activations(layers[-1], lfc_sums(layers, bits)).astype(np.uint64)
    places = np.arange(fired.shape[1], dtype=np.uint64)
    return (fired << places[None, :]).sum(axis=1, dtype=np.uint64)


def decode(words: np.ndarray, classes: int, levels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(class index, whether any neuron fired) by the highest set bit below classes * levels."""
    index = np.zeros(len(words), dtype=np.int64)
    fired = np.zeros(len(words), dtype=bool)
    for row, word in enumerate(words):
        kept = int(word) & ((1 << (classes * levels)) - 1)
        fired[row] = kept != 0
        index[row] = (kept.bit_length() - 1) % classes if kept else 0
    return index, fired
