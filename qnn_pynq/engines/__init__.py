"""Engines: pictures in, values out, for one network, on overlays or in software."""

from __future__ import annotations

from .base import Engine, EngineResult, Prepared
from .board import BoardEngine, SegmentTime
from .parts import Part, plan_parts
from .software import SoftwareEngine

__all__ = ["BoardEngine", "Engine", "EngineResult", "Part", "Prepared", "SegmentTime", "SoftwareEngine", "plan_parts"]
