"""The overlay engine: a dense network on a board, all layers in one run, words back."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from ..kernels import Encoder
from ..networks.types import Network
from .base import EngineResult, check_decode, make_encoder
from .on_board import BoardEngine

__all__ = ["OverlayEngine"]


class OverlayEngine(BoardEngine):
    """Packs into the DMA buffer, runs the circuit in chunks, takes the words."""

    def check(self, network: Network) -> None:
        check_decode(network)
        self.driver.check(network)

    def _prepare(self, network: Network) -> Encoder:
        return make_encoder(network)

    def _room(self, pictures: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        return np.empty(len(pictures), np.uint64) if out is None else out

    def _fill(self, pictures: np.ndarray) -> None:
        begun = perf_counter()
        self._kernel.encode(pictures, out=self.driver.input(len(pictures)))
        self._stages["pack"] += perf_counter() - begun

    def _result(self, found: np.ndarray) -> EngineResult:
        return EngineResult(found, None, self._stages)
