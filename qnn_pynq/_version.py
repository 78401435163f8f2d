"""The release. Its own module, so that what asks for it does not lean on the public face."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
