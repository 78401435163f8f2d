"""From pictures to labels: `Classifier` and what stands behind it."""

from __future__ import annotations

from .classifier import Classifier

__all__ = ["Classifier"]
