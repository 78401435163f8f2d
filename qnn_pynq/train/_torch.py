"""The one place that imports torch."""

from __future__ import annotations

from typing import Any

from ..errors import MissingDependencyError

__all__ = ["torch"]

torch: Any
try:
    import torch  # noqa: F401
except ImportError as error:
    raise MissingDependencyError(
        "training needs PyTorch, which is not installed: pip install qnn-pynq[train]"
    ) from error
