"""1-bit weights of an exported network as numbers."""

from __future__ import annotations

import numpy as np

__all__ = ["unpacked_signs"]


def unpacked_signs(packed: np.ndarray, count: int) -> np.ndarray:
    """+1 and -1 float32 (..., count) of bit strings uint8 (..., ceil(count/8)), little-endian."""
    bits = np.unpackbits(packed, axis=-1, bitorder="little")[..., :count]
    return bits.astype(np.float32) * 2 - 1
