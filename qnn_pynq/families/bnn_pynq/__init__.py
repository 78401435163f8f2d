"""The fully connected overlays of BNN-PYNQ (LFC)."""

from __future__ import annotations

from ...contracts.families import Family

__all__ = ["FAMILY"]

FAMILY = Family(f"{__name__}.driver:BnnPynqDriver", f"{__name__}.twin:BnnPynqTwin", f"{__name__}.descriptor:check")
