"""Driver of the BNN-PYNQ fully connected overlays (LFC W1A1, W1A2)."""
from __future__ import annotations

import logging
from enum import IntEnum
from time import perf_counter
from typing import Any

import numpy as np

from ...contracts.board import Board, Buffer
from ...contracts.chip import CACHE_LINE
from ...contracts.driver import Port, Split
from ...contracts.network import Network
from ...contracts.overlay import Overlay
from ...contracts.program import make_writes
from ...errors import InputError, NoDataError, QnnError
from ..blocks.hls_control import START, PolledDriver, drop_done
from .weights import check_network, fit_layers, least_cycles, weight_program

__all__ = ["BnnPynqDriver", "Reg"]

_log = logging.getLogger(__name__)


class Reg(IntEnum):
    """Registers of BlackBoxJam, byte offsets: lfcW1A1-pynqZ1-Z2.hwh in bnn/bitstreams/pynqZ1-Z2 of BNN-PYNQ."""

    CTRL = 0x00
    IN_LOW = 0x10
    IN_HIGH = 0x14
    OUT_LOW = 0x1C
    OUT_HIGH = 0x20
    DO_INIT = 0x28
    NUM_REPS = 0x5C


_MAX_IMAGES = 16384  # per run: 1.7 MB of input; a longer run gains less than 0.02 %
_MIN_IMAGES = 16  # the input stage fetches 16 pictures at a time
_WORD = 8  # bytes of a result
_NO_WAIT = 1.0  # seconds of a program in which nothing is waited for


class BnnPynqDriver(PolledDriver):
    """One network on one LFC overlay.

    Not thread-safe between `start` and `finish`: a second `start` is refused with BoardBusyError.
    Its buffer grows to the largest batch seen, `capacity` pictures at most, and is then reused.

    Before each run the output words are filled with a pseudo-random one, another each time. A run that was done without
    writing a result is then NoDataError instead of an answer of the run before. A result that is that very word, one of
    2**64, is taken for the same, and a policy computes it again.
    """

    kind = "bnn-pynq"

    def __init__(self, board: Board, overlay: Overlay, conservative: bool = False,
                 capacity: int = _MAX_IMAGES) -> None:
        super().__init__(board, overlay, conservative)
        if capacity < 1:
            raise InputError(f"capacity {capacity}: expected at least one picture")
        self._capacity = capacity
        self._program: Any = None  # starts a run of so many pictures:
        self._programmed = 0
        self._row = int(overlay.geometry["input_bits"]) // 8  # bytes of an input
        self._rows = 0  # pictures that the buffers hold
        # One buffer, outputs in front: one flush covers both, one invalidate the outputs alone.
        self._buffer: Buffer | None = None
        self._inputs: Any = None
        self._words: Any = None
        self._skip = 0
        self._started = 0.0
        self._sentinel = 0  # the same words in the same runs: a recording of them can be replayed
        self._first, self._interval = least_cycles(overlay.geometry["layers"])

    @property
    def input(self) -> Port:
        return Port("bits", (self._row,), np.dtype(np.uint8))

    @property
    def output(self) -> Port:
        return Port("words", (), np.dtype(np.uint64))

    @classmethod
    def split(cls, network: Network, overlay: Overlay, conservative: bool = False) -> Split:
        """All layers run on the logic, on the bits of the encoded picture."""
        return Split((), check_network(network, overlay), ())

    def load(self, network: Network, timeout: float | None = None) -> None:
        """Write a network's weights; again at run time without configuring the logic.

        Parameters
        ----------
        network : Network
        timeout : float, optional
            Seconds for all weights; default 60 (conservative) or 20.

        Raises
        ------
        UnsupportedNetworkError
            Before anything is touched.
        BoardBusyError
            A run is in flight.
        DeadlineError
            The logic stopped answering; the driver refuses to run until it is configured again.
        """
        geometry = self.overlay.geometry["layers"]
        fitted = fit_layers(check_network(network, self.overlay), geometry)
        program = weight_program(fitted, geometry, self.conservative)
        with self.board.lock:
            self._check_open()
            self._check_idle()
            self.network = None
            self.board.claim(self)
            self.board.configure(self.overlay)
            registers = self.board.ip(self.overlay.ip.name)
            if timeout is None:
                timeout = 60.0 if self.conservative else 20.0
            before = self.board.accelerator_seconds
            drop_done(registers)
            try:
                registers.run_program(program, timeout)
            except BaseException:
                self._clear_init(registers)
                raise
            self.timing["configure"] = self.board.accelerator_seconds - before
            self._generation = self.board.generation
            self.network = network
        _log.debug("%s: %s configured, %d accesses, %.1f ms", self.overlay.name, network.name, len(program),
                  1e3 * self.timing["configure"])

    @staticmethod
    def _clear_init(registers: Any) -> None:
        # A doInit left set would turn the next run into a memory write.
        try:
            registers.write(Reg.DO_INIT, 0)
        except QnnError as error:
            _log.debug("doInit not cleared: %s", error)

    def put(self, values: np.ndarray) -> None:
        if getattr(values, "shape", ())[1:] != (self._row,) or values.dtype != np.uint8:
            raise InputError(f"inputs {getattr(values, 'dtype', type(values).__name__)} {np.shape(values)}: expected "
                             f"uint8 (pictures, {self._row}), packed bits")
        self.room(len(values))[...] = values

    def room(self, pictures: int) -> np.ndarray:
        """uint8 (pictures, bytes): rows of the DMA buffer, little-endian bits, pad bits 0.

        Valid until the next call; keeps what the last run left in it.
        """
        with self.board.lock:
            if self._closed or self.board.closed:
                self._check_open()
            if self._running:
                self._check_idle()
            if not 1 <= pictures <= self._capacity:
                self._check_count(pictures)
            if pictures > self._rows:
                self._grow(pictures)
            view: np.ndarray = self._inputs[:pictures]
            return view

    def _grow(self, pictures: int) -> None:
        rows = min(self._capacity, max(_MIN_IMAGES, 1 << (pictures - 1).bit_length()))
        self._free()
        # Inputs and outputs share no line of the cache.
        self._skip = -(-rows * _WORD // CACHE_LINE) * CACHE_LINE
        self._buffer = self.board.allocate(self._skip + rows * self._row, np.uint8)
        self._words = self._buffer.array[: rows * _WORD].view(np.uint64)
        self._inputs = self._buffer.array[self._skip :].reshape(rows, self._row)
        self._rows = rows

    def _buffers(self) -> list[Buffer]:
        return [] if self._buffer is None else [self._buffer]

    def _free(self) -> None:
        self._rows = self._programmed = 0  # first: after an interrupt nobody takes a closed buffer for a live one
        super()._free()

    def _forget_buffers(self) -> None:
        self._buffer = self._inputs = self._words = None

    def start(self, pictures: int) -> None:
        """Start the circuit on the first `pictures` rows of `room`.

        Raises
        ------
        BoardTakenError
            Another classifier holds the board.
        BoardError
            Not configured, or the logic was configured by somebody else since.
        BoardBusyError
            A run is in flight.
        """
        with self.board.lock:
            self._check_ready()
            if self._running:
                self._check_idle()
            if not 1 <= pictures <= self._capacity:
                self._check_count(pictures)
            if pictures > self._rows:
                raise InputError(f"{pictures} pictures, but room() was asked for {self._rows} at most")
            assert self._buffer is not None
            board = self.board
            registers = board.ip(self.overlay.ip.name)
            drop_done(registers)
            begun = perf_counter()
            self._sentinel = sentinel = self._sentinel + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
            if pictures == 1:
                self._words[0] = sentinel
            else:
                self._words[:pictures] = sentinel
            self._buffer.flush(self._skip + pictures * self._row)
            self.timing["transfer"] = perf_counter() - begun
            if pictures != self._programmed:
                self._program, self._programmed = self._start_program(pictures), pictures
            # Before the start: an interrupt in between must not leave a run that nobody knows of.
            self._running = pictures
            board.in_flight = self
            self._started = board.accelerator_seconds
            registers.run_program(self._program, _NO_WAIT)
            if board.emulated:  # there the moment of the start is known exactly
                self._started = board.accelerator_seconds

    def _start_program(self, pictures: int) -> np.ndarray:
        assert self._buffer is not None
        target = self._buffer.device_address
        source = target + self._skip
        return make_writes((
            (Reg.IN_LOW, source & 0xFFFFFFFF), (Reg.IN_HIGH, source >> 32),
            (Reg.OUT_LOW, target & 0xFFFFFFFF), (Reg.OUT_HIGH, target >> 32),
            (Reg.DO_INIT, 0), (Reg.NUM_REPS, pictures), (Reg.CTRL, START)))

    def finish(self, timeout: float | None = None) -> np.ndarray:
        """Wait for the run and take its words.

        Parameters
        ----------
        timeout : float, optional
            Seconds; default: by `limits`, 1 + 20 times what the cycle model says.

        Returns
        -------
        uint64 (pictures,)
            Output words, a view of the buffer that is valid until the next `start`.

        Raises
        ------
        DeadlineError
            No answer in time. The run stays in flight: `finish` may be called again.
        StatusError, EarlyDoneError, NoDataError
            The run is not to be trusted, and may still be in the circuit.
        """
        with self.board.lock:
            pictures = self._in_flight()
            expected = self.expected_seconds(pictures)
            self.timing["run"] = self._await(
                expected, self._least_seconds(pictures, expected), timeout, self._started,
                ("{} on {} picture{}", self.overlay.name, pictures, "" if pictures == 1 else "s"))
            self.timing["pictures"] = pictures
            assert self._buffer is not None
            begun = perf_counter()
            self._buffer.invalidate(pictures * _WORD)
            words: np.ndarray = self._words[:pictures]
            self._check_written(words)
            self._over()
            self.timing["transfer"] += perf_counter() - begun
            return words

    def _check_written(self, words: np.ndarray) -> None:
        if words.size == 1:
            missing = int(words.item(0) == self._sentinel)
        else:
            missing = int(np.count_nonzero(words == np.uint64(self._sentinel)))
        if missing:
            raise NoDataError(f"{self.overlay.name}: done, but {missing} of {words.size} results were never written")

    def expected_seconds(self, pictures: int) -> float:
        """Seconds that the cycle model gives a run of `pictures`."""
        timing = self.overlay.timing
        cycles = timing["first_image_cycles"] + (pictures - 1) * timing["cycles_per_image"] if pictures else 0
        return float(cycles * 1e-6 / self.overlay.clock_mhz)

    def _least_seconds(self, pictures: int, expected: float) -> float:
        """Seconds that the circuit cannot do without: by its folding, and half of what was recorded."""
        cycles = self._first + (pictures - 1) * self._interval
        return max(0.95e-6 * cycles / self.overlay.clock_mhz, 0.5 * expected)
