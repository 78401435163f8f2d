"""Engines: pictures in, values out, for one network, on overlays or in software."""

from __future__ import annotations

from .base import Engine, EngineResult, Prepared
from .board import BoardEngine, SegmentTime
from .parts import Part, layers_on_logic, plan_parts
from .software import SoftwareEngine

__all__ = ["BoardEngine", "Engine", "EngineResult", "Part", "Prepared", "SegmentTime", "SoftwareEngine",
           "layers_on_logic", "plan_parts"]
