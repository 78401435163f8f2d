"""What this tool refuses, and why."""

from __future__ import annotations

__all__ = ["NotModelledError", "ReadbackError"]


class ReadbackError(ValueError):
    """A file that is not what it should be, or a design that contradicts itself."""


class NotModelledError(ReadbackError):
    """Something that the design uses and that this tool does not model."""
