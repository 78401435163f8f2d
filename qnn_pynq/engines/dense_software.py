"""The software engine: the whole network in one C call, no board, no overlay."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any, Callable

import numpy as np

from ..errors import InputError
from ..kernels import DenseStack
from ..networks.types import Network
from .base import Engine, EngineResult, check_decode, make_encoder

__all__ = ["SoftwareEngine"]

_log = logging.getLogger(__name__)


class SoftwareEngine(Engine):
    """Answers the same words as the overlay, and the sums behind them.

    Parameters
    ----------
    threads : int
        Threads that share a batch; 1 by default. A single picture always takes one.
    """

    name = "cpu"
    gives_sums = True

    def __init__(self, threads: int = 1) -> None:
        super().__init__()
        if not isinstance(threads, (int, np.integer)) or not 1 <= threads <= 64:
            raise InputError("threads must be an integer from 1 to 64, not {!r}".format(threads))
        self.threads = threads
        self._stack: Any = None
        self._single: Callable[[np.ndarray], Any] | None = None
        self._pending: EngineResult | None = None

    def check(self, network: Network) -> None:
        check_decode(network)

    def configure(self, network: Network) -> None:
        self._open()
        self.check(network)
        self._stack = stack = DenseStack(network.dense, make_encoder(network))
        self._bytes = (network.dense[-1].outputs + 7) // 8
        self._outputs = network.dense[-1].outputs
        # One picture: the arrays are made and checked once.
        self._word = np.zeros(1, np.uint64)
        out = self._word.view(np.uint8)[: self._bytes].reshape(1, -1)
        if hasattr(stack, "bind"):
            self._single = stack.bind(out)
        else:
            self._single = lambda picture: stack.run_pictures(picture.reshape(1, -1), out)
        self.network = network
        self.state = "ready"
        _log.debug("%s in software: %d bytes of weights, %s kernels", network.name, stack.nbytes, stack.isa)

    def one(self, picture: np.ndarray, deadline: float | None = None) -> int:
        single = self._single
        if single is None:
            self._ready(picture[:1], None)
            raise AssertionError
        single(picture)
        return int(self._word.item(0))

    def start(self, pictures: np.ndarray, out: np.ndarray | None = None, sums: bool = False) -> None:
        self._pending = self.run(pictures, out, None, sums)

    def run(
        self,
        pictures: np.ndarray,
        out: np.ndarray | None = None,
        deadline: float | None = None,
        sums: bool = False,
    ) -> EngineResult:
        self._ready(pictures, out)
        count = len(pictures)
        raw = np.empty((count, self._outputs), np.int32) if sums else None
        begun = perf_counter()
        if self._bytes == 8:
            words = np.empty(count, np.uint64) if out is None else out
            self._stack.run_pictures(
                pictures, words.view(np.uint8).reshape(count, 8), raw, threads=self.threads
            )
        else:  # fewer than 57 output neurons: short rows
            words = np.zeros(count, np.uint64)
            rows = self._stack.run_pictures(pictures, sums=raw, threads=self.threads)
            words.view(np.uint8).reshape(count, 8)[:, : self._bytes] = rows
            if out is not None:
                out[...] = words
                words = out
        self._stages = {"kernel": perf_counter() - begun}
        return EngineResult(words, raw, self._stages)

    def wait(self, deadline: float | None = None) -> EngineResult:
        self._open()
        result, self._pending = self._pending, None
        if result is None:
            raise InputError("no run was started: call start() first")
        return result

    def close(self) -> None:
        self.state = "closed"
        self.network = self._stack = self._single = self._pending = None
