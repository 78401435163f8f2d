"""Engines: arrays in, output words or codes out, for one network, on an overlay or in software."""

from __future__ import annotations

from typing import Any

from ..network import Network
from .base import Engine, EngineResult
from .convolution import ConvolutionEngine
from .layers import is_convolutional
from .offload import OffloadEngine
from .on_board import BoardEngine
from .overlay import OverlayEngine
from .software import SoftwareEngine

__all__ = ["BoardEngine", "Engine", "EngineResult", "board_engine", "fits_engine", "software_engine"]


def software_engine(network: Network, threads: int = 1) -> Engine:
    """The engine that computes `network` without a board; not configured."""
    return ConvolutionEngine(threads) if is_convolutional(network) else SoftwareEngine(threads)


def board_engine(
    network: Network, board: Any, overlay: Any, conservative: bool = False, takeover: bool = True
) -> BoardEngine:
    """The engine that computes `network` on `board` with `overlay`; not configured."""
    kind = OffloadEngine if is_convolutional(network) else OverlayEngine
    return kind(board, overlay, conservative, takeover)


def fits_engine(network: Network, engine: Engine) -> bool:
    """Whether `engine` is of the kind that computes `network`."""
    return isinstance(engine, (ConvolutionEngine, OffloadEngine)) == is_convolutional(network)
