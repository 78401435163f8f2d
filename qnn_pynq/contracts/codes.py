"""The words for what a dense layer gives, which networks and circuits share."""

from __future__ import annotations

__all__ = ["THRESHOLDS"]

THRESHOLDS = {"binary": 1, "ternary": 2, "none": 0}  # of a neuron, by its output; "none": the sums themselves
