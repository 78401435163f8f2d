"""Driver of the BNN-PYNQ fully connected overlays (LFC W1A1, W1A2)."""
from __future__ import annotations

import logging
from enum import IntEnum
from time import perf_counter
from typing import Any

import numpy as np

from ..boards.base import Board, Buffer
from ..errors import QnnError
from .bnn_pynq_weights import check_network, fit_layers, weight_program
from .polled import START, PolledDriver

__all__ = ["BnnPynqDriver", "Reg"]

log = logging.getLogger(__name__)


class Reg(IntEnum):
    """Registers of BlackBoxJam, byte offsets."""

    CTRL = 0x00
    IN_LOW = 0x10
    IN_HIGH = 0x14
    OUT_LOW = 0x1C
    OUT_HIGH = 0x20
    DO_INIT = 0x28
    NUM_REPS = 0x5C


_MAX_IMAGES = 16384  # per run: 1.7 MB of input; a longer run gains less than 0.02 %
_MIN_IMAGES = 16  # the input stage fetches 16 images at a time


class BnnPynqDriver(PolledDriver):
    """One network on one LFC overlay.

    Not thread-safe between `start` and `finish`: a second `start` is refused with BoardBusyError.
    Buffers grow to the largest batch seen, `capacity` images at most, and are then reused.
    """

    kind = "bnn-pynq"

    def __init__(self, board: Board, overlay: Any, conservative: bool = False,
                 capacity: int = _MAX_IMAGES) -> None:
        super().__init__(board, overlay, conservative)
        if capacity < 1:
            raise ValueError(f"capacity {capacity}: expected at least one image")
        self._capacity = capacity
        self._rows = 0  # images that the buffers hold
        self._input: Buffer | None = None
        self._output: Buffer | None = None
        self._words: np.ndarray | None = None
        self._started = 0.0

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def bytes_in(self) -> int:
        return int(self.overlay.geometry["input_bits"]) // 8

    @property
    def bytes_out(self) -> int:
        return int(self.overlay.geometry["output_bits"]) // 8

    def check(self, network: Any) -> None:
        check_network(network, self.overlay)

    def configure(self, network: Any, timeout: float | None = None) -> None:
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
        self.check(network)
        program = weight_program(fit_layers(network.layers, self.overlay.geometry["layers"]),
                                 self.overlay.geometry["layers"], self.conservative)
        with self.board.lock:
            self._check_open()
            self._check_idle()
            self.network = None
            self.board.claim(self)
            self.board.load(self.overlay)
            registers = self.board.ip(self.overlay.ip.name)
            if timeout is None:
                timeout = 60.0 if self.conservative else 20.0
            before = self.board.accelerator_seconds
            self._drop_done(registers)
            try:
                registers.play(program, timeout)
            except BaseException:
                self._clear_init(registers)
                raise
            self.timing["configure"] = self.board.accelerator_seconds - before
            self._generation = self.board.generation
            self.network = network
        log.debug("%s: %s configured, %d accesses, %.1f ms", self.overlay.name, network.name, len(program),
                  1e3 * self.timing["configure"])

    @staticmethod
    def _clear_init(registers: Any) -> None:
        # A doInit left set would turn the next run into a memory write.
        try:
            registers.write(Reg.DO_INIT, 0)
        except QnnError as error:
            log.debug("doInit not cleared: %s", error)

    def input(self, images: int) -> np.ndarray:
        """uint8 (images, bytes_in): rows of the DMA buffer, little-endian bits, pad bits 0.

        Valid until the next call of `input`; keeps what the last run left in it.
        """
        with self.board.lock:
            self._check_open()
            self._check_idle()
            self._check_count(images)
            if images > self._rows:
                self._grow(images)
            assert self._input is not None
            view: np.ndarray = self._input.array[:images]
            return view

    def _grow(self, images: int) -> None:
        rows = min(self._capacity, max(_MIN_IMAGES, 1 << (images - 1).bit_length()))
        self._free()
        new = self.board.allocate((rows, self.bytes_in), np.uint8)
        try:
            self._output = self.board.allocate((rows, self.bytes_out // 8), np.uint64)
        except BaseException:
            new.close()
            raise
        self._input, self._rows = new, rows

    def _free(self) -> None:
        for buffer in (self._input, self._output):
            if buffer is not None:
                buffer.close()
        self._input = self._output = None
        self._rows = 0

    def start(self, images: int) -> None:
        """Start the circuit on the first `images` rows of `input`.

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
            self._check_idle()
            self._check_count(images)
            if images > self._rows:
                raise ValueError(f"{images} images, but input() was asked for {self._rows} at most")
            assert self._input is not None and self._output is not None
            registers = self.board.ip(self.overlay.ip.name)
            self._drop_done(registers)
            begun = perf_counter()
            self._input.flush(images * self.bytes_in)
            self.timing["transfer"] = perf_counter() - begun
            source, target = self._input.device_address, self._output.device_address
            for reg, value in ((Reg.IN_LOW, source & 0xFFFFFFFF), (Reg.IN_HIGH, source >> 32),
                               (Reg.OUT_LOW, target & 0xFFFFFFFF), (Reg.OUT_HIGH, target >> 32),
                               (Reg.DO_INIT, 0), (Reg.NUM_REPS, images)):
                registers.write(reg, value)
            self._started = self.board.accelerator_seconds
            registers.write(Reg.CTRL, START)
            self._running = images
            self.board.mark_in_flight(self)

    def finish(self, timeout: float | None = None) -> np.ndarray:
        """Wait for the run and take its words.

        Parameters
        ----------
        timeout : float, optional
            Seconds; default 1 + 20 times what the cycle model says.

        Returns
        -------
        uint64 (images,)
            Output words, a view of the buffer that is valid until the next `start`.

        Raises
        ------
        DeadlineError
            No answer in time. The run stays in flight: `finish` may be called again.
        """
        with self.board.lock:
            images = self._in_flight()
            expected = self.expected_seconds(images)
            self.board.wait(self.overlay.ip.name, (Reg.CTRL, self._done_mask),
                            1.0 + 20.0 * expected if timeout is None else timeout,
                            "{} on {} image{} (the cycle model says {:.3g} ms)".format(
                                self.overlay.name, images, "" if images == 1 else "s", 1e3 * expected))
            self._over()
            self.timing["run"] = self.board.accelerator_seconds - self._started
            self.timing["images"] = images
            assert self._output is not None
            begun = perf_counter()
            self._output.invalidate(images * self.bytes_out)
            self.timing["transfer"] += perf_counter() - begun
            words: np.ndarray = self._output.array[:images, 0]
            return words

    def expected_seconds(self, images: int) -> float:
        """Seconds that the cycle model gives a run of `images`."""
        timing = self.overlay.timing
        cycles = timing["first_image_cycles"] + (images - 1) * timing["cycles_per_image"] if images else 0
        return float(cycles * 1e-6 / self.overlay.clock_mhz)
