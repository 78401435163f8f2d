"""The software engine: every layer but the tail in kernels, no board, no overlay."""

from __future__ import annotations

import logging
from functools import partial
from time import perf_counter
from typing import Callable

import numpy as np

from ..contracts.network import Network
from ..errors import InputError, UnsupportedNetworkError
from ..networks.rows import Row, compile_layers
from ..pictures.prepare import pictures_to_maps
from .base import Engine, EngineResult, Inputs, Prepared
from .stages import as_kind, make_encoder

__all__ = ["SoftwareEngine"]

_log = logging.getLogger(__name__)


class SoftwareEngine(Engine):
    """Answers the same values as the overlay, and the sums behind words.

    Parameters
    ----------
    threads : int
        Threads that share a batch, where the kernels can; 1 by default. A single picture always takes one.

    Attributes
    ----------
    rows : list of Row
        Kernels, in the order of the layers.
    """

    name = "cpu"

    def __init__(self, threads: int = 1) -> None:
        super().__init__()
        if not isinstance(threads, (int, np.integer)) or not 1 <= threads <= 64:
            raise InputError(f"threads must be an integer from 1 to 64, not {threads!r}")
        self.threads = int(threads)
        self.rows: list[Row] = []
        self._single: Callable[[np.ndarray], None] | None = None
        self._pending: EngineResult | None = None

    def check(self, network: Network) -> None:
        signal = network.signals[_body(network)]
        if as_kind(signal) == "words" and network.output_neurons > signal.values:
            raise UnsupportedNetworkError(
                f"network {network.name!r}: {len(network.classes)} classes of {network.decode.levels} levels need "
                f"{network.output_neurons} output neurons, {signal.origin} has {signal.values}")

    def load(self, network: Network) -> None:
        self.check_open()
        self.check(network)
        end, spec, signals = _body(network), network.input, network.signals
        rows = compile_layers(network.layers[:end], signals)
        kind = as_kind(signals[end])
        first, last = rows[0].kernel, rows[-1].kernel
        encode: Callable[[np.ndarray], np.ndarray] = partial(pictures_to_maps, spec=spec)
        if signals[0].coding == "binary":
            encoder = make_encoder(spec, getattr(network.layers[0], "inputs", signals[0].values))
            encode = _as_they_are if first.take_pictures(encoder) else encoder.encode
        for row in rows:
            row.kernel.threads = self.threads
        # One picture: the arrays are made and checked once.
        word = np.zeros(1, np.uint64)
        size = (signals[end].values + 7) // 8 if kind == "words" else 0
        alone = kind == "words" and len(rows) == 1
        single = first.bind(word.view(np.uint8)[:size].reshape(1, -1)) if alone else None
        # All is made; an interrupt from here on leaves no mixture of two networks.
        self.state, self.network, self._single = "failed", None, None
        self.rows, self._encode, self._end, self._length = rows, encode, signals[end], end
        self.kind, self.after, self.gives_sums = kind, network.layers[end:], kind == "words" and last.gives_sums
        self._word, self._bytes, self._single = word, size, single
        self.network, self.state = network, "ready"
        _log.debug("%s in software", network.name)

    def one(self, picture: np.ndarray, timeout: float | None = None) -> int:
        single = self._single
        if single is None:
            return super().one(picture, timeout)
        single(picture)
        return int(self._word.item(0))

    def start(self, pictures: Inputs, sums: bool = False) -> None:
        """Compute at once; `wait` gives the result."""
        self._pending = self.run(pictures, None, sums)

    def run(self, pictures: Inputs, timeout: float | None = None, sums: bool = False) -> EngineResult:
        return self._compute(pictures, sums, None)

    def row_seconds(self, pictures: Inputs) -> list[np.ndarray]:
        """For each of `rows` the seconds of its layers' `Kernel.rows`, measured on a batch."""
        seconds = [np.zeros(len(row.kernel.rows)) for row in self.rows]
        self._compute(pictures, False, seconds)
        return seconds

    def _compute(self, pictures: Inputs, sums: bool, seconds: list[np.ndarray] | None) -> EngineResult:
        self.ready()
        rows = pictures.rows if isinstance(pictures, Prepared) else pictures
        raw = np.empty((len(rows), self._end.values), np.int32) if sums and self.gives_sums else None
        begun = perf_counter()
        values = self._encode(rows)
        for number, row in enumerate(self.rows):
            times = None if seconds is None else seconds[number]
            last = number == len(self.rows) - 1
            out = words = None
            if last and self._bytes == 8:
                words = np.empty(len(rows), np.uint64)
                out = words.view(np.uint8).reshape(-1, 8)
            values = row.kernel.run(values, out, raw if last else None, times)
            if words is not None:
                values = words
            elif last and self._bytes:  # fewer than 57 output neurons: short rows
                short, values = values, np.zeros(len(rows), np.uint64)
                values.view(np.uint8).reshape(-1, 8)[:, : self._bytes] = short
        return EngineResult(self.kind, values, {"kernel": perf_counter() - begun}, raw, self._length)

    def wait(self, timeout: float | None = None) -> EngineResult:
        self.check_open()
        result, self._pending = self._pending, None
        if result is None:
            raise InputError("no run was started: call start() first")
        return result

    def close(self) -> None:
        self.state = "closed"
        self.network = self._single = self._pending = None
        self.rows = []


def _body(network: Network) -> int:
    """Layers before the tail."""
    end = len(network.layers)
    while end > 1 and network.layers[end - 1].tail:
        end -= 1
    return end


def _as_they_are(pictures: np.ndarray) -> np.ndarray:
    return pictures
