"""Engines: arrays in, output words out, for one network, on an overlay or in software."""

from __future__ import annotations

from .base import Engine, EngineResult

__all__ = ["Engine", "EngineResult"]
