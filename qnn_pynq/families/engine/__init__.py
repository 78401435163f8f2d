"""The overlays of our own engine: bit-serial, a program of layers over groups of pictures."""

from __future__ import annotations

from ...contracts.families import Family

__all__ = ["FAMILY"]

FAMILY = Family(
    "qnn_pynq.families.engine.driver:EngineDriver",
    "qnn_pynq.families.engine.twin:EngineTwin",
    "qnn_pynq.families.engine.descriptor:check",
)
