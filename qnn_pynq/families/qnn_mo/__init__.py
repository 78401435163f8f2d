"""The multi-layer offload overlays of QNN-MO-PYNQ."""

from __future__ import annotations

from ...contracts.families import Family

__all__ = ["FAMILY"]

FAMILY = Family(
    "qnn_pynq.families.qnn_mo.driver:QnnMoDriver",
    "qnn_pynq.families.qnn_mo.twin:QnnMoTwin",
    "qnn_pynq.families.qnn_mo.descriptor:check",
)
