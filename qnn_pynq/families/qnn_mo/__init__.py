"""The multi-layer offload overlays of QNN-MO-PYNQ."""

from __future__ import annotations

from ...contracts.families import Family

__all__ = ["FAMILY"]

FAMILY = Family(f"{__name__}.driver:QnnMoDriver", f"{__name__}.twin:QnnMoTwin", f"{__name__}.descriptor:check")
