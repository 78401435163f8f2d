"""Picture -> 832 input bits: the table form of the descriptor (pixel, threshold) and ways to choose it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["INPUTS", "Table", "encode", "grid", "plain"]

INPUTS = 832  # of the LFC overlays


class Table(NamedTuple):
    """Bit k = pixel[pixels[k]] >= thresholds[k]; uint16 and uint8, (n,).

    `plain` is the one threshold that the table stands for, -1 for none.
    """

    pixels: np.ndarray
    thresholds: np.ndarray
    plain: int = -1


def plain(threshold: int, pixels: int = 784) -> Table:
    """One threshold for every pixel: the published encoding at 128."""
    return Table(np.arange(pixels, dtype=np.uint16), np.full(pixels, threshold, np.uint8), threshold)


def grid(threshold: int, height: int, width: int, inputs: int = INPUTS) -> Table:
    """One threshold for an even grid of at most `inputs` pixels: for pictures with more pixels than bits."""
    rows = min(height, max(1, int((inputs * height / width) ** 0.5)))
    columns = min(width, inputs // rows)
    row = ((np.arange(rows) + 0.5) * height / rows).astype(np.int64)
    column = ((np.arange(columns) + 0.5) * width / columns).astype(np.int64)
    pixels = (row[:, None] * width + column[None, :]).reshape(-1).astype(np.uint16)
    return Table(pixels, np.full(len(pixels), threshold, np.uint8))


def encode(pictures: np.ndarray, table: Table, inputs: int = INPUTS) -> np.ndarray:
    """Bits uint8 (N, inputs) of uint8 pictures (N, H, W) or (N, H*W); bits past the table are 0."""
    flat = pictures.reshape(len(pictures), -1)
    bits = np.zeros((len(flat), inputs), np.uint8)
    bits[:, : len(table.pixels)] = flat[:, table.pixels] >= table.thresholds
    return bits
