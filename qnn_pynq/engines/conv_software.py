"""The software engine of convolutional networks: every layer in a kernel, no board, no overlay."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any

import numpy as np

from ..errors import InputError, UnsupportedNetworkError
from ..kernels import ConvStack
from ..networks.types import Network
from .base import Engine, EngineResult
from .layers import is_convolutional, pictures_to_maps, split_layers

__all__ = ["ConvolutionEngine"]

_log = logging.getLogger(__name__)


class ConvolutionEngine(Engine):
    """Answers the same codes as the overlay would; also to codes (N, H, W, C) that `OffloadEngine.first_stage` gave.

    Parameters
    ----------
    threads : int
        Accepted for the sake of `SoftwareEngine`; one thread computes.
    """

    name = "cpu"
    gives_sums = True

    def __init__(self, threads: int = 1) -> None:
        super().__init__()
        if not isinstance(threads, (int, np.integer)) or not 1 <= threads <= 64:
            raise InputError("threads must be an integer from 1 to 64, not {!r}".format(threads))
        self._stack: Any = None
        self._middle: Any = None
        self._pending: EngineResult | None = None
        self.layer_seconds: np.ndarray | None = None

    def check(self, network: Network) -> None:
        if not is_convolutional(network):
            raise UnsupportedNetworkError("network {!r} has no convolutions".format(network.name))

    def configure(self, network: Network) -> None:
        self._open()
        self.check(network)
        parts = split_layers(network)
        self._stack = ConvStack(parts.first + parts.middle, parts.picture_shape[0], parts.picture_shape[1])
        self._middle = None
        self.network, self.state = network, "ready"
        _log.debug("%s in software", network.name)

    def start(self, pictures: np.ndarray, out: np.ndarray | None = None, sums: bool = False) -> None:
        """Compute at once; `wait` gives the result. `out` is not used: there are no words."""
        network = self._ready(pictures, out)
        begun = perf_counter()
        if pictures.ndim == 2:
            stack, maps = self._stack, pictures_to_maps(network, pictures)
        else:
            stack, maps = self._behind_first(network), pictures
        seconds = np.zeros(stack.convolutions)
        codes = stack.run(maps, seconds=seconds)
        self.layer_seconds = seconds / max(1, len(pictures))
        self._stages = {"kernel": perf_counter() - begun}
        self._pending = EngineResult(None, None, self._stages, codes)

    def _behind_first(self, network: Network) -> Any:
        if self._middle is None:
            parts = split_layers(network)
            self._middle = ConvStack(parts.middle, parts.middle_shape[0], parts.middle_shape[1])
        return self._middle

    def wait(self, deadline: float | None = None) -> EngineResult:
        self._open()
        result, self._pending = self._pending, None
        if result is None:
            raise InputError("no run was started: call start() first")
        return result

    def close(self) -> None:
        self.state = "closed"
        self.network = self._stack = self._middle = self._pending = None
