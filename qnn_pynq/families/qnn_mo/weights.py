"""Memory pictures that the multi-layer offload circuits load: weights and thresholds of one run."""
from __future__ import annotations

from typing import Any

import numpy as np

from .plan import Run

__all__ = ["weight_image"]

_WORD = np.dtype("<u8")


def weight_image(run: Run, geometry: Any) -> np.ndarray:
    """What the two memory ports load for a run.

    Parameters
    ----------
    run : Run
    geometry : dict
        Of the overlay.

    Returns
    -------
    uint64 (2, run.weight_words)
        Port 0 has PEs 0..15, port 1 has 16..31: a block of weight words per PE, then the entries of
        thresholds. Output channel n*32 + P is row n of PE P.
    """
    pe, ports = geometry["pe"], geometry["memory_channels"]
    entry_words = geometry["threshold_bits"] // geometry["word_bits"]
    entries = geometry["max_outputs"] // pe
    block = run.weight_words * ports // pe - entries * entry_words
    weights = np.zeros((pe, block), _WORD)
    words = _weight_words(run, geometry)
    weights[:, :words.shape[1]] = words
    thresholds = np.zeros((pe, entries, entry_words), _WORD)
    found = _threshold_entries(run, geometry)
    thresholds[:, :found.shape[1]] = found
    image = np.empty((ports, run.weight_words), _WORD)
    split = pe // ports * block
    image[:, :split] = weights.reshape(ports, -1)
    image[:, split:] = thresholds.reshape(ports, -1)
    return image


def _weight_words(run: Run, geometry: Any) -> np.ndarray:
    """uint64 (PEs, rows * K * K * tiles): bit 1 is -1 here; lanes and rows without a channel have 0."""
    conv, pe, lanes = run.step.conv, geometry["pe"], geometry["simd"]
    kernel, tiles, rows = conv.kernel, -(-run.inputs // lanes), -(-run.outputs // pe)
    bits = np.zeros((rows * pe, kernel, kernel, tiles * lanes // 8), np.uint8)
    real = conv.weights[run.first:run.first + run.outputs]
    bits[:run.outputs, :, :, :real.shape[3]] = ~real
    if run.inputs % 8:
        bits[:run.outputs, :, :, run.inputs // 8] &= (1 << run.inputs % 8) - 1
    words = bits.view(_WORD).reshape(rows, pe, -1)
    return np.ascontiguousarray(words.transpose(1, 0, 2)).reshape(pe, -1)


def _threshold_entries(run: Run, geometry: Any) -> np.ndarray:
    """uint64 (PEs, rows, words of an entry), the upper word first; a row without a channel gives code 0."""
    conv, pe = run.step.conv, geometry["pe"]
    rows, slots = -(-run.outputs // pe), geometry["threshold_bits"] // 16
    values = np.zeros((rows * pe, slots), "<u2")
    # -1 in every place, inverted: with weights of 0 the sum is never below 0.
    values[:, :slots - 1] = 0xFFFF
    values[:, slots - 1] = 1
    picked = slice(run.first, run.first + run.outputs)
    # No sum goes beyond 32256, so 16 bits hold every threshold's meaning.
    real = np.clip(conv.thresholds[picked], -32768, 32767)
    values[:run.outputs, :slots - 1] = 32767  # of a layer with fewer: never reached
    values[:run.outputs, :real.shape[1]] = real.astype(np.int64).astype(np.uint16)
    values[:run.outputs, slots - 1] = 0 if conv.invert is None else conv.invert[picked]
    entries = values.view(_WORD).reshape(rows, pe, -1)[:, :, ::-1]
    return np.ascontiguousarray(entries.transpose(1, 0, 2))
