"""Streams of circuits that are not ours: descriptions, types, and the C++ and Tcl that follow from them."""

from __future__ import annotations

from ..contracts.families import Family
from .description import Description, Dma, Stream
from .reading import describe, load_description
from .types import StreamType, parse_type

__all__ = ["FAMILY", "Description", "Dma", "Stream", "StreamType", "describe", "load_description", "parse_type"]

FAMILY = Family(
    "qnn_pynq.streams.driver:StreamDriver",
    "qnn_pynq.streams.twin:StreamTwin",
    "qnn_pynq.streams.descriptor:check",
)
