"""Driver of circuits with streams that compute a network: its weights are in the circuit, pictures or codes go in."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Callable

import numpy as np

from ..contracts.board import Board, Buffer, close_all
from ..contracts.driver import Driver, Port, Split
from ..contracts.layer import Signal
from ..contracts.network import Network
from ..contracts.overlay import Overlay
from ..errors import (
    BoardBusyError,
    BoardError,
    ClosedError,
    ForeignBitstreamError,
    InputError,
    QnnError,
    UnsupportedNetworkError,
)
from ..networks.rows import compile_layers
from .circuit import StreamCircuit, make_circuit
from .description import Description, Stream
from .packets import longest_batch, sample_strides
from .transfers import Transfers
from .types import castable
from .values import decode, encode

__all__ = ["StreamDriver"]

_log = logging.getLogger(__name__)

_TAKES = {"pixels": np.uint8, "codes": np.uint8}
_GIVES = {"codes": np.uint8, "sums": np.int32, "scores": np.float64}


class StreamDriver(Driver):
    """A network on a circuit that was made for it, such as another generator's.

    Such a circuit has its weights in itself, so the network must name its overlay. It has one input, which takes
    pixels or codes of the shape that arrives at one of the layers, and one output, of codes, sums or scores.

    Parameters
    ----------
    engine : "own" or "pynq"
        Who drives the DMAs: our driver, or pynq's (on an FPGA only).
    """

    kind = "stream"

    def __init__(self, board: Board, overlay: Overlay, conservative: bool = False, engine: str = "own") -> None:
        circuit = _circuit(overlay)
        super().__init__(board, circuit, conservative)
        self.description: Description = circuit.streams
        self.transfers = Transfers(board, circuit, engine)
        self._circuit = circuit
        self._in, self._out = self.description.inputs[0], self.description.outputs[0]
        self._strides = sample_strides(self.description)
        self._longest = longest_batch(self.description)
        self._buffers: dict[str, Buffer] = {}
        self._ports: tuple[Port, Port] | None = None
        self._held = self._running = self._put_images = 0
        self._generation = -1
        self._broken = self._cancelled = self._closed = False
        self._started = 0.0

    # -- what it can do ----------------------------------------------------------------------------------

    @classmethod
    def split(cls, network: Network, overlay: Overlay, conservative: bool = False) -> Split:
        begin, end = _cut(network, _circuit(overlay))
        return Split(network.layers[:begin], network.layers[begin:end], network.layers[end:])

    @property
    def capacity(self) -> int:
        return self._longest

    @property
    def input(self) -> Port:
        return self._both()[0]

    @property
    def output(self) -> Port:
        return self._both()[1]

    def _both(self) -> tuple[Port, Port]:
        if self._ports is None:
            raise BoardError("no network is configured: call load() first")
        return self._ports

    def expected_seconds(self, pictures: int) -> float:
        """Of the transfers, a beat a cycle; the circuit's own time is unknown."""
        beats = 0
        for stream in self.description.streams:
            bits = 64 if stream.dma is None else self.description.dma(stream.dma).data_bits
            beats = max(beats, -(-8 * pictures * self._strides[stream.name] // bits))
        return float(beats * 1e-6 / self.overlay.clock_mhz)

    # -- runs --------------------------------------------------------------------------------------------

    def load(self, network: Network, timeout: float | None = None) -> None:
        begin, end = _cut(network, self._circuit)
        signals = network.signals
        with self.board.lock:
            self._check_open()
            self._check_idle()
            self.network = None
            self.board.claim(self)
            if self._broken:
                self.board.reset()
                self._broken, self._running = False, 0
            circuit = self._circuit
            if circuit.function is None and self.board.emulated:
                circuit = replace(circuit, function=_function(network, begin, end))
            self.overlay = circuit
            self.board.configure(circuit)
            self.transfers.prepare()
            self._ports = (Port(signals[begin].coding, signals[begin].shape, np.dtype(_TAKES[signals[begin].coding])),
                           Port(signals[end].coding, signals[end].shape, np.dtype(_GIVES[signals[end].coding])))
            self._generation = self.board.generation
            self.network = network

    def put(self, values: np.ndarray) -> None:
        with self.board.lock:
            self._check_ready()
            self._check_idle()
            port = self.input
            if not isinstance(values, np.ndarray) or values.dtype != port.dtype or values.shape[1:] != port.shape:
                raise InputError(f"inputs {getattr(values, 'dtype', type(values).__name__)} {np.shape(values)}: "
                                 f"expected {port.dtype} (pictures, {', '.join(map(str, port.shape))})")
            pictures = len(values)
            self._check_count(pictures)
            words = np.empty((pictures, self._in.elements), self._in.type.container)
            encode(self._in, castable(values).reshape(pictures, *self._in.shape), words)
            self._put_images = 0
            self._allocate(pictures)
            self._words(self._in, pictures)[...] = words
            self._put_images = pictures

    def start(self, pictures: int) -> None:
        with self.board.lock:
            self._check_ready()
            self._check_idle()
            self._check_count(pictures)
            if pictures > self._put_images:
                raise InputError(f"{pictures} pictures, but {self._put_images} were put: put() all of them")
            self._put_images = 0
            self._started = self.board.accelerator_seconds
            self._running = pictures
            self.board.in_flight = self
            try:
                self.transfers.begin(self._buffers, pictures)
            except BaseException:
                self._break_off()
                raise

    def finish(self, timeout: float | None = None) -> np.ndarray:
        with self.board.lock:
            self._check_open()
            if not self._running:
                raise BoardError("no run in flight: call start() first")
            pictures = self._running
            if timeout is None:
                timeout = self.limits.margin + self.limits.factor * self.expected_seconds(pictures)
            try:
                self._check_ready()
                self.transfers.complete(self.board.clock.now() + timeout, timeout, lambda: self._cancelled)
            except BaseException:
                self._break_off()
                raise
            self._running = 0
            self.board.in_flight = None
            self.timing["run"] = self.board.accelerator_seconds - self._started
            self.timing["pictures"] = pictures
            port = self.output
            found = decode(self._out, self._words(self._out, pictures)).reshape(pictures, *port.shape)
            return found.astype(port.dtype)

    def cancel(self) -> None:
        self._cancelled = True

    @property
    def displaced(self) -> bool:
        return bool(self._generation != self.board.generation or self.board.loaded != self.overlay)

    # -- buffers -----------------------------------------------------------------------------------------

    def _allocate(self, pictures: int) -> None:
        if pictures <= self._held:
            return
        self._free()
        for stream in self.description.streams:
            self._buffers[stream.name] = self.board.allocate(pictures * self._strides[stream.name], np.uint8)
        self._held = pictures

    def _words(self, stream: Stream, pictures: int) -> np.ndarray:
        """The buffer's containers, (pictures, elements)."""
        stride = self._strides[stream.name]
        rows = self._buffers[stream.name].array[: pictures * stride].reshape(pictures, stride)
        return rows[:, : stream.sample_bytes].view(stream.type.container)

    def _free(self) -> None:
        held = list(self._buffers.values())
        self._buffers, self._held, self._put_images = {}, 0, 0
        if self.board.in_flight is self and not self.board.closed:
            self.board.quarantine([*held, *self.transfers.buffers()], f"a run of {self.overlay.name} did not end")
            self.transfers.forget_buffers()
        else:
            close_all(held)

    def free(self) -> None:
        with self.board.lock:
            if self._closed:
                return
            self._check_idle()
            self.network = None
            self._free()

    # -- states ------------------------------------------------------------------------------------------

    def _break_off(self) -> None:
        """After a run that did not end: the DMAs stop, or their buffers are the board's until it is configured."""
        self.network, self._broken = None, True
        try:
            self.transfers.reset()
            self._running = 0
            self.board.in_flight = None
        except QnnError as error:
            _log.info("%s: the DMAs cannot be stopped: %s", self.overlay.name, error)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this driver is closed: make another")
        self.board.check_open()

    def _check_idle(self) -> None:
        if self._running and self._generation != self.board.generation:
            self._running = 0  # the logic was configured anew: that run is gone
        if self._running:
            raise BoardBusyError(f"a run of {self._running} pictures is in flight: call finish() first")

    def _check_count(self, pictures: int) -> None:
        if not 1 <= pictures <= self._longest:
            raise InputError(f"{pictures} pictures: expected 1..{self._longest} in one run; split larger batches")

    def _check_ready(self) -> None:
        self._check_open()
        if self._broken:
            raise BoardError("the last run was broken off: load the network again")
        if self.network is None:
            raise BoardError("no network is configured: call load() first")
        self.board.require(self)
        if self.displaced:
            self.network = None
            raise ForeignBitstreamError("the logic was configured again since the network was loaded: load it again")

    def close(self) -> None:
        with self.board.lock:
            try:
                if self.board.in_flight is self and not self.board.closed:
                    self._break_off()
            finally:
                self._closed, self.network = True, None
                try:
                    self._free()
                finally:
                    try:
                        self.transfers.close()
                    finally:
                        self.board.release(self)
                        self._running = 0


def _circuit(overlay: Overlay) -> StreamCircuit:
    return overlay if isinstance(overlay, StreamCircuit) else make_circuit(overlay)


def _cut(network: Network, circuit: StreamCircuit) -> tuple[int, int]:
    """First layer of the circuit, and the first behind it: as many layers as its input and output allow."""
    description: Description = circuit.streams

    def refuse(what: str) -> UnsupportedNetworkError:
        return UnsupportedNetworkError(f"network {network.name} on overlay {circuit.name}: {what}")

    if circuit.name not in network.overlays:
        raise refuse("its weights are in the circuit, and the network does not name it: expected a network with "
                     f'"{circuit.name}" among its overlays')
    if len(description.inputs) != 1 or len(description.outputs) != 1:
        raise refuse(f"{len(description.inputs)} inputs and {len(description.outputs)} outputs, expected one of each; "
                     "StreamOverlay moves arrays of any of them")
    taken, given = description.inputs[0], description.outputs[0]
    starts = [at for at, signal in enumerate(network.signals[:-1]) if signal.coding in _TAKES and _fits(signal, taken)]
    ends = [at for at, signal in enumerate(network.signals) if signal.coding in _GIVES and _fits(signal, given)]
    cuts = [(begin, end) for begin in starts for end in reversed(ends) if begin < end]
    if not cuts:
        shapes = ", ".join(f"{signal.coding} {list(signal.shape)}" for signal in network.signals)
        raise refuse(f"it takes {taken.type.text} {list(taken.shape)} and gives {given.type.text} {list(given.shape)}, "
                     f"the network has {shapes}: expected pixels or codes of the first shape before codes, sums or "
                     "scores of the second")
    return cuts[0]


def _fits(signal: Signal, stream: Stream) -> bool:
    """The same number of values, in the same order: channels last, or flat."""
    same = signal.shape == stream.shape or (len(stream.shape) == 1 and signal.values == stream.elements)
    low, high = stream.type.integers if stream.raw else stream.type.limits
    return same and (signal.coding == "scores" or (signal.largest <= high and (signal.coding != "sums" or low < 0)))


def _function(network: Network, begin: int, end: int) -> Callable[[np.ndarray], np.ndarray]:
    """What the circuit computes of one sample, for the emulated board: the network's own layers, in software."""
    arriving = network.signals[begin]
    rows = compile_layers(network.layers[begin:end], network.signals[begin:], begin)

    def function(sample: Any) -> np.ndarray:
        values = np.asarray(sample).astype(_TAKES[arriving.coding]).reshape(1, *arriving.shape)
        for row in rows:
            values = row.kernel.run(values)
        return np.asarray(values[0])

    return function
