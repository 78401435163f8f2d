"""The engine of convolutional networks on an overlay: first layers in software, the middle layer by layer."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import Callable

import numpy as np

from ..errors import UnsupportedNetworkError
from ..kernels import ConvStack
from ..networks.types import Network
from .base import EngineResult
from .layers import is_convolutional, pictures_to_maps, split_layers
from .on_board import BoardEngine

__all__ = ["OffloadEngine"]


def _first_layers(network: Network, stack: ConvStack, pictures: np.ndarray) -> np.ndarray:
    return stack.run(pictures_to_maps(network, pictures))


class OffloadEngine(BoardEngine):
    """First layers by kernels, the others on the overlay; the codes come back."""

    gives_sums = True
    _host_stages = ("first layer", "pack")

    def check(self, network: Network) -> None:
        if not is_convolutional(network):
            raise UnsupportedNetworkError("network {!r} has no convolutions".format(network.name))
        self.driver.check(network)

    def first_stage(self) -> Callable[[np.ndarray], np.ndarray]:
        """Gives uint8 codes (N, H, W, C), as the overlay takes them."""
        first: Callable[[np.ndarray], np.ndarray] = self._kernel
        return first

    def _prepare(self, network: Network) -> Callable[[np.ndarray], np.ndarray]:
        parts = split_layers(network)
        self._codes_shape = parts.codes_shape
        if not parts.first:  # a later segment: codes come in
            return partial(pictures_to_maps, network)
        stack = ConvStack(parts.first, parts.picture_shape[0], parts.picture_shape[1])
        return partial(_first_layers, network, stack)

    def _room(self, pictures: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        return np.empty((len(pictures),) + self._codes_shape, np.uint8)

    def _fill(self, pictures: np.ndarray) -> None:
        """Pictures (N, pixels), or codes (N, H, W, C) that `first_stage` gave before."""
        begun = perf_counter()
        codes = self._kernel(pictures) if pictures.ndim == 2 else pictures
        computed = perf_counter()
        for index, one in enumerate(codes):
            self.driver.put(index, one)
        self._stages["first layer"] += computed - begun
        self._stages["pack"] += perf_counter() - computed

    def _result(self, found: np.ndarray) -> EngineResult:
        return EngineResult(None, None, self._stages, found)
