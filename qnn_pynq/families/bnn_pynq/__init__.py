"""The fully connected overlays of BNN-PYNQ (LFC)."""

from __future__ import annotations

from ...contracts.families import Family

__all__ = ["FAMILY"]

FAMILY = Family(
    "qnn_pynq.families.bnn_pynq.driver:BnnPynqDriver",
    "qnn_pynq.families.bnn_pynq.twin:BnnPynqTwin",
    "qnn_pynq.families.bnn_pynq.descriptor:check",
)
