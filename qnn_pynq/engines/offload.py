"""The engine of convolutional networks on an overlay: first layers in software, the middle layer by layer."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from ..errors import UnsupportedNetworkError
from ..kernels import ConvStack
from ..network import Network
from .base import EngineResult
from .layers import is_convolutional, pictures_to_maps, split_layers
from .on_board import BoardEngine

__all__ = ["OffloadEngine"]


class OffloadEngine(BoardEngine):
    """First layers by kernels, the others on the overlay; the codes come back."""

    gives_sums = True
    _host_stages = ("first layer", "pack")

    def check(self, network: Network) -> None:
        if not is_convolutional(network):
            raise UnsupportedNetworkError("network {!r} has no convolutions".format(network.name))
        self.driver.check(network)

    def first_layer(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 codes (N, H, W, C) that the overlay takes; touches no hardware."""
        network, stack = self._kernel  # both at once: a stream's thread calls this beside `configure`
        maps = pictures_to_maps(network, pictures)
        codes: np.ndarray = maps if stack is None else stack.run(maps)
        return codes

    def _prepare(self, network: Network) -> tuple[Network, ConvStack | None]:
        parts = split_layers(network)
        self._codes_shape = parts.codes_shape
        if not parts.first:  # a later segment: codes come in
            return network, None
        return network, ConvStack(parts.first, parts.picture_shape[0], parts.picture_shape[1])

    def _room(self, pictures: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        return np.empty((len(pictures),) + self._codes_shape, np.uint8)

    def _fill(self, pictures: np.ndarray) -> None:
        """Pictures (N, pixels), or codes (N, H, W, C) that `first_layer` gave before."""
        begun = perf_counter()
        codes = self.first_layer(pictures) if pictures.ndim == 2 else pictures
        computed = perf_counter()
        for index, one in enumerate(codes):
            self.driver.put(index, one)
        self._stages["first layer"] += computed - begun
        self._stages["pack"] += perf_counter() - computed

    def _result(self, found: np.ndarray) -> EngineResult:
        return EngineResult(None, None, self._stages, found)
