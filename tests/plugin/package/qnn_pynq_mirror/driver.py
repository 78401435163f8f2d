"""The driver: one network at a time, through the contract of a board and nothing else."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import NoReturn

import numpy as np

from qnn_pynq.errors import (
    BoardBusyError,
    BoardError,
    ClosedError,
    DeadlineError,
    EarlyDoneError,
    ForeignBitstreamError,
    InputError,
    NoDataError,
    QnnError,
    StatusError,
    UnsupportedNetworkError,
)
from qnn_pynq.testing import Board, Buffer, Driver, LayerProfile, Network, Overlay, Port, Registers, Split, close_all

from .layers import AbsDiff

__all__ = ["MirrorDriver"]

_log = logging.getLogger(__name__)

_IDENTITY, _COMMAND, _STATUS, _COUNT, _SOURCE, _TARGET = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14
_MAGIC = 0x4D495252
_LOAD, _RUN = 1, 2
_BUSY, _FINISHED = 1, 2
_NEVER = 0xFFFFFFFC  # of the status
_NOTHING = -(2**31)  # in the place of a result: further from 0 than any


class MirrorDriver(Driver):
    """Driver of the comparator. Its buffers grow to the largest batch seen."""

    kind = "mirror"

    def __init__(self, board: Board, overlay: Overlay, conservative: bool = False) -> None:
        super().__init__(board, overlay, conservative)
        self._shape = (*overlay.geometry["picture"], 1)
        self._pixels = self._shape[0] * self._shape[1]
        self._layer: AbsDiff | None = None
        self._index = 0  # of the layer in the network
        self._templates: Buffer | None = None
        self._pictures: Buffer | None = None
        self._results: Buffer | None = None
        self._put = 0
        self._active = 0  # images in flight; below 0: templates are being read
        self._started = 0.0
        self._generation = -1
        self._closed = self._cancelled = False
        self._profile: tuple[LayerProfile, ...] = ()

    # -- what it can do ----------------------------------------------------------------------------------

    @classmethod
    def split(cls, network: Network, overlay: Overlay, conservative: bool = False) -> Split:
        """Layers up to "absdiff" run on the processor, it alone on the logic, the others on the processor again."""
        def refuse(what: str) -> NoReturn:
            raise UnsupportedNetworkError(f"network {network.name} on overlay {overlay.name}: {what}")

        found = [(at, layer) for at, layer in enumerate(network.layers) if isinstance(layer, AbsDiff)]
        if len(found) != 1:
            refuse(f'{len(found)} layers of type "absdiff": the overlay computes one')
        at, layer = found[0]
        height, width = overlay.geometry["picture"]
        if layer.templates.shape[1:] != (height, width):
            refuse(f"layer {at}: templates of {layer.templates.shape[1:]}, the overlay has {(height, width)}")
        if len(layer.templates) > overlay.geometry["templates"]:
            refuse(f"layer {at}: {len(layer.templates)} templates, the overlay has room for "
                   f"{overlay.geometry['templates']}")
        return Split(network.layers[:at], (layer,), network.layers[at + 1 :])

    @property
    def capacity(self) -> int:
        return int(self.overlay.geometry["images"])

    @property
    def input(self) -> Port:
        return Port("pixels", self._shape, np.dtype(np.uint8))

    @property
    def output(self) -> Port:
        return Port("sums", (0 if self._layer is None else len(self._layer.templates),), np.dtype(np.int32))

    def expected_seconds(self, images: int) -> float:
        timing = self.overlay.timing
        return self._seconds(timing["setup_cycles"] + images * self.output.shape[0] * timing["cycles_per_template"])

    def _seconds(self, cycles: float) -> float:
        return float(cycles * 1e-6 / self.overlay.clock_mhz)

    # -- a network ---------------------------------------------------------------------------------------

    def load(self, network: Network, timeout: float | None = None) -> None:
        split = self.split(network, self.overlay, self.conservative)
        layer = split.logic[0]
        assert isinstance(layer, AbsDiff)
        with self.board.lock:
            self._check_open()
            self._check_idle()
            self.network = None
            self._profile, self._put = (), 0
            self.board.claim(self)
            self.board.configure(self.overlay)
            self._generation = self.board.generation
            registers = self._registers()
            self._free()  # results of another size
            begun = self.board.accelerator_seconds
            self._load_templates(layer, registers, timeout)
            self.timing["configure"] = self.board.accelerator_seconds - begun
            self._layer, self._index = layer, len(split.before)
            self.network = network

    def _load_templates(self, layer: AbsDiff, registers: Registers, timeout: float | None) -> None:
        templates = layer.templates.reshape(-1)
        self._templates = self.board.allocate(templates.size + 4 * len(layer.offsets), np.uint8)
        self._templates.array[: templates.size] = templates
        self._templates.array[templates.size :] = np.ascontiguousarray(layer.offsets, np.int32).view(np.uint8)
        self._templates.flush()
        cycles = self.overlay.timing["setup_cycles"] + templates.size
        self._command(registers, _LOAD, len(layer.offsets), self._templates.device_address, 0, -1)
        self._await(self._seconds(cycles), timeout, "reading templates")
        self._over()
        self._templates.close()
        self._templates = None

    # -- runs --------------------------------------------------------------------------------------------

    def put(self, values: np.ndarray) -> None:
        with self.board.lock:
            self._check_ready()
            self._check_idle()
            if not isinstance(values, np.ndarray) or values.dtype != np.uint8 or values.shape[1:] != self._shape:
                raise InputError(f"pictures {getattr(values, 'dtype', type(values).__name__)} {np.shape(values)}: "
                                 f"expected uint8 (images, {', '.join(map(str, self._shape))})")
            self._check_count(len(values))
            self._put = 0
            self._grow(len(values))
            assert self._pictures is not None
            self._pictures.array[: values.size] = values.reshape(-1)
            self._put = len(values)

    def _grow(self, images: int) -> None:
        if self._pictures is not None and self._pictures.nbytes >= images * self._pixels:
            return
        rows = min(self.capacity, 1 << (images - 1).bit_length())
        self._free()
        self._pictures = self.board.allocate(rows * self._pixels, np.uint8)
        self._results = self.board.allocate((rows, self.output.shape[0]), np.int32)

    def start(self, images: int) -> None:
        with self.board.lock:
            self._check_ready()
            self._check_idle()
            self._check_count(images)
            if images > self._put:
                raise InputError(f"{images} images, but {self._put} were put: put() all of them before")
            assert self._pictures is not None and self._results is not None
            begun = perf_counter()
            self._results.array[:images] = _NOTHING
            self._pictures.flush(images * self._pixels)
            self._results.flush(4 * images * self.output.shape[0])
            self.timing["transfer"] = perf_counter() - begun
            self._command(self._registers(), _RUN, images, self._pictures.device_address,
                          self._results.device_address, images)

    def _registers(self) -> Registers:
        """The circuit's, if it is this circuit and free."""
        registers = self.board.ip(self.overlay.ip.name)
        identity = registers.read(_IDENTITY)
        if identity != _MAGIC:
            raise StatusError(f"identity {identity:#x} instead of {_MAGIC:#x}: the bus is broken, or another bitstream "
                              "is loaded")
        status = registers.read(_STATUS)
        if status & _BUSY:
            raise StatusError("the comparator is busy where it should be idle: reset() the board and load again")
        return registers

    def _command(self, registers: Registers, command: int, count: int, source: int, target: int, what: int) -> None:
        registers.write(_STATUS, 0)
        for offset, value in ((_COUNT, count), (_SOURCE, source), (_TARGET, target)):
            registers.write(offset, value)
            if self.conservative and registers.read(offset) != value:
                raise StatusError(f"register {offset:#x} does not keep {value:#x}: another bitstream is loaded")
        self._started = self.board.accelerator_seconds
        self._active = what  # before the write: what an interrupt leaves behind must be known
        self.board.in_flight = self
        registers.write(_COMMAND, command)

    def finish(self, timeout: float | None = None) -> np.ndarray:
        with self.board.lock:
            self._check_open()
            if not self._active:
                raise BoardError("no run in flight: call start() first")
            self._check_ready()
            images = self._active
            seconds = self._await(self.expected_seconds(images), timeout, f"{images} pictures")
            assert self._results is not None and self.network is not None and self._layer is not None
            begun = perf_counter()
            self._results.invalidate(4 * images * self.output.shape[0])
            found: np.ndarray = self._results.array[:images]
            missing = int(np.count_nonzero((found == _NOTHING).any(axis=1)))
            if missing:
                raise NoDataError(f"{self.overlay.name}: finished, but {missing} of {images} results were never "
                                  "written")
            self._over()
            self.timing["run"], self.timing["pictures"] = seconds, images
            self.timing["transfer"] += perf_counter() - begun
            cycles = images * self.output.shape[0] * self.overlay.timing["cycles_per_template"]
            self._profile = (LayerProfile(self._index, "absdiff", 1, int(self._layer.templates.size), 0,
                                          int(cycles), seconds, images),)
            return found

    def layers(self) -> tuple[LayerProfile, ...]:
        return self._profile

    def _await(self, expected: float, timeout: float | None, what: str) -> float:
        """Wait until the circuit has finished; its seconds."""
        board, limits = self.board, self.limits
        if timeout is None:
            timeout = limits.margin + limits.factor * expected
        try:
            status = board.wait(self.overlay.ip.name, (_STATUS, _FINISHED | _NEVER), timeout, self.overlay.name,
                                lambda: self._cancelled)
        except DeadlineError as error:
            raise DeadlineError(f"{what} on {self.overlay.name}: no answer within {timeout:g} s; reset() the board and "
                                "load the network again, or allow more time") from error
        if status & _NEVER:
            raise StatusError(f"status {status:#010x}: bits that the circuit does not have")
        seconds = board.accelerator_seconds - self._started
        if seconds < limits.earliest * 0.95 * expected:
            raise EarlyDoneError(f"{what} on {self.overlay.name}: finished after {1e6 * seconds:.3g} us, sooner than "
                                 "the circuit can be")
        return seconds

    def _over(self) -> None:
        self._active = 0
        self.board.in_flight = None

    def cancel(self) -> None:
        self._cancelled = True

    # -- checks ------------------------------------------------------------------------------------------

    @property
    def displaced(self) -> bool:
        return self._generation != self.board.generation or self.board.loaded != self.overlay

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this driver is closed: make another")
        self.board.check_open()

    def _check_ready(self) -> None:
        self._check_open()
        if self.network is None:
            raise BoardError("no network is configured: call load() first")
        self.board.require(self)
        if self.displaced:
            self.network = None
            raise ForeignBitstreamError("the logic was configured again since the templates were written: load the "
                                        "network again")

    def _check_idle(self) -> None:
        if self._active and self._generation != self.board.generation:
            self._active = 0  # gone with the logic
        if self._active:
            raise BoardBusyError("a run is in flight: call finish() first, or reset() the board")

    def _check_count(self, images: int) -> None:
        if not 1 <= images <= self.capacity:
            raise InputError(f"{images} images: expected 1 to {self.capacity}; split larger batches")

    # -- the end -----------------------------------------------------------------------------------------

    def _free(self) -> None:
        """Give the buffers back; those that a run may still write to, to the board, until it is configured again."""
        buffers = [buffer for buffer in (self._templates, self._pictures, self._results) if buffer is not None]
        if self.board.in_flight is self and not self.board.closed:
            self.board.quarantine(buffers, f"a run of {self.overlay.name} did not end")
        else:
            close_all(buffers)
        self._templates = self._pictures = self._results = None
        self._put = 0

    def free(self) -> None:
        with self.board.lock:
            if self._closed:
                return
            self._check_idle()
            self.network = None
            self._free()

    def close(self) -> None:
        with self.board.lock:
            gone = self.board.closed or self._generation != self.board.generation
            try:
                if self._active > 0 and not gone and not self._closed:
                    self.finish()
            except QnnError as error:
                _log.warning("closed with a run in flight: %s", error)
            finally:
                self._closed, self.network = True, None
                self._free()
                self.board.release(self)
