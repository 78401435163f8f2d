"""Training of networks (needs PyTorch): our own recipes, and one function a topology for a user's pictures."""

from __future__ import annotations

from typing import Any

__all__ = ["train_dorefa_folder", "train_folder"]


def __getattr__(name: str) -> Any:
    # Lazy, so that importing the package costs nothing where torch is not installed.
    if name == "train_folder":
        from .lfc.folder import train_folder

        return train_folder
    if name == "train_dorefa_folder":
        from .dorefa.folder import train_dorefa_folder

        return train_dorefa_folder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
