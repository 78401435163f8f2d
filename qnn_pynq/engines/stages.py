"""How pictures get to the first layer, and what kind of values the last one leaves."""

from __future__ import annotations

import numpy as np

from ..contracts.layer import Signal
from ..contracts.network import InputSpec
from ..errors import UnsupportedNetworkError
from ..kernels import Encoder
from ..pictures.prepare import first_layer_input

__all__ = ["DTYPES", "as_kind", "make_encoder", "pictures_to_maps"]


DTYPES = {"words": "uint64", "codes": "uint8", "sums": "int32", "scores": "float64"}  # of values, by kind


def make_encoder(spec: InputSpec, bits: int) -> Encoder:
    """The kernel that turns pictures into so many bits."""
    coding = spec.encoding
    if coding.kind == "threshold":
        return Encoder(spec.pixels, bits, threshold=coding.threshold)
    return Encoder(spec.pixels, bits, index=coding.pixels, thresholds=coding.thresholds)


def pictures_to_maps(spec: InputSpec, pictures: np.ndarray) -> np.ndarray:
    """What the first layer on maps takes: uint8 or float32 (N, H, W, C) of prepared pictures (N, pixels)."""
    maps = pictures.reshape(len(pictures), *spec.size, spec.channels)
    return first_layer_input(maps, spec.encoding)


def as_kind(signal: Signal) -> str:
    """The kind of values that a signal has behind an engine."""
    if signal.coding == "binary":
        if signal.values > 64:
            raise UnsupportedNetworkError(
                f"{signal.values} output bits from {signal.origin}: expected at most 64, a word")
        return "words"
    if signal.coding not in ("codes", "sums", "scores"):
        raise UnsupportedNetworkError(f'"{signal.coding}" from {signal.origin} cannot be an answer: expected bits, '
                                      'codes, sums or scores')
    return signal.coding
