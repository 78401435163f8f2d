"""Engines: arrays in, output words or codes out, for one network, on an overlay or in software."""

from __future__ import annotations

from typing import Any, Sequence

from ..networks.types import Network
from .base import Engine, EngineResult
from .conv_board import OffloadEngine
from .conv_software import ConvolutionEngine
from .dense_board import OverlayEngine
from .dense_software import SoftwareEngine
from .layers import is_convolutional
from .on_board import BoardEngine
from .segments import SegmentedEngine, SegmentTime

__all__ = [
    "BoardEngine",
    "ConvolutionEngine",
    "Engine",
    "EngineResult",
    "OffloadEngine",
    "SegmentTime",
    "SegmentedEngine",
    "SoftwareEngine",
    "board_engine",
    "fits_engine",
    "is_convolutional",
    "software_engine",
]


def software_engine(network: Network, threads: int = 1) -> Engine:
    """The engine that computes `network` without a board; not configured."""
    return ConvolutionEngine(threads) if is_convolutional(network) else SoftwareEngine(threads)


def board_engine(
    network: Network, board: Any, overlays: Sequence[Any], conservative: bool = False, takeover: bool = True
) -> Engine:
    """The engine that computes `network` on `board` with `overlays`, one a segment; not configured."""
    if network.segments:
        return SegmentedEngine(board, overlays, conservative, takeover)
    kind = OffloadEngine if is_convolutional(network) else OverlayEngine
    return kind(board, overlays[0], conservative, takeover)


def fits_engine(network: Network, engine: Engine) -> bool:
    """Whether `engine`, or what it guards, is of the kind that computes `network`."""
    engine = getattr(engine, "inner", engine)
    if isinstance(engine, SegmentedEngine) or (network.segments and isinstance(engine, BoardEngine)):
        return False
    return isinstance(engine, (ConvolutionEngine, OffloadEngine)) == is_convolutional(network)
