"""How pictures get to the first layer, and what kind of values the last one leaves."""

from __future__ import annotations

from ..contracts.layer import Signal
from ..contracts.network import InputSpec
from ..errors import UnsupportedNetworkError
from ..kernels import Encoder

__all__ = ["DTYPES", "as_kind", "make_encoder"]


DTYPES = {"words": "uint64", "codes": "uint8", "sums": "int32", "scores": "float64"}  # of values, by kind


def make_encoder(spec: InputSpec, bits: int) -> Encoder:
    """The kernel that turns pictures into so many bits."""
    coding = spec.encoding
    if coding.kind == "threshold":
        return Encoder(spec.pixels, bits, threshold=coding.threshold)
    return Encoder(spec.pixels, bits, index=coding.pixels, thresholds=coding.thresholds)


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
