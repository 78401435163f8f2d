"""Circuits with ap_ctrl_hs registers, from the driver's side: the registers, and what drivers of polled ones share."""
from __future__ import annotations

import logging
import threading
from abc import abstractmethod
from typing import Any

from ...contracts.board import Board, Buffer, Registers, close_all
from ...contracts.driver import Driver, LayerProfile
from ...errors import (
    BoardBusyError,
    BoardError,
    ClosedError,
    DeadlineError,
    EarlyDoneError,
    ForeignBitstreamError,
    InputError,
    StatusError,
    StrayRunError,
)

__all__ = ["CTRL", "DONE", "IDLE", "NEVER", "START", "PolledDriver", "check_control", "drop_done"]

_log = logging.getLogger(__name__)
# Vitis HLS User Guide (UG1399), "S_AXILITE Control Register Map": the control register, and bits of it.
CTRL = 0x00
START, DONE, IDLE = 0x1, 0x2, 0x4
NEVER = 0xFFFFFD70  # bits that no such block has; a bus without a slave often reads as all ones


def check_control(status: int) -> None:
    """StatusError where the control register shows bits that it does not have."""
    if status & NEVER:
        raise StatusError(f"control register {status:#010x}: bits that the circuit does not have; the bus or the logic "
                          "is broken, or another bitstream is loaded")


def drop_done(registers: Registers) -> None:
    """One read takes a stale done away, and shows whether the logic is free.

    Raises
    ------
    StatusError
        Bits that no circuit has.
    StrayRunError
        It runs.
    """
    status = registers.read(CTRL)
    if status & NEVER:
        check_control(status)
    if not status & (IDLE | DONE):
        raise StrayRunError("the accelerator is still busy with an earlier run, which cannot be "
                            "aborted: reset() the board and load the network again")


class PolledDriver(Driver):
    """A driver whose circuit is started and polled at register 0, and cannot be stopped.

    Not thread-safe between `start` and `finish`: a second `start` is refused with BoardBusyError.
    """

    def __init__(self, board: Board, overlay: Any, conservative: bool = False) -> None:
        super().__init__(board, overlay, conservative)
        self._done_mask = DONE if conservative else DONE | IDLE
        self._done = CTRL, self._done_mask | NEVER
        self._capacity = 1  # pictures of the largest chunk
        self._running = 0  # pictures in flight
        self._profile: tuple[LayerProfile, ...] = ()  # of the last run, layer by layer
        self._generation = -1
        self._closed = False
        self._cancelled = threading.Event()
        self._missing = "no network is configured: call load() first"

    @abstractmethod
    def _buffers(self) -> list[Buffer]:
        """Every live buffer."""

    @abstractmethod
    def _forget_buffers(self) -> None:
        """Drop them, closed or not."""

    def _free(self) -> None:
        """Give the buffers back; where a run may still write to them, to the board."""
        if self.board.in_flight is self and not self.board.closed:
            self.board.quarantine(self._buffers(), f"a run of {self.overlay.name} did not end")
            self._forget_buffers()
            return
        try:
            close_all(self._buffers())
        finally:
            self._forget_buffers()

    @property
    def capacity(self) -> int:
        """Pictures of the largest chunk."""
        return self._capacity

    def layers(self) -> tuple[LayerProfile, ...]:
        return self._profile

    def cancel(self) -> None:
        self._cancelled.set()

    def _await(self, expected: float, least: float, timeout: float | None, started: float,
               what: tuple[object, ...]) -> float:
        """Wait for the circuit, which was started at `started` accelerator seconds and takes at least `least`.

        `what` are a format and its arguments: only an error needs the text.

        Returns
        -------
        float
            Seconds of the circuit.

        Raises
        ------
        DeadlineError, StatusError, EarlyDoneError
        ClosedError
            `cancel` was called.
        """
        board, limits, ip, mask = self.board, self.limits, self.overlay.ip.name, self._done_mask
        if timeout is None:
            timeout = limits.margin + limits.factor * expected
        try:
            status = board.wait(ip, self._done, timeout, self.overlay.name, self._cancelled.is_set)
        except DeadlineError as error:
            raise DeadlineError(f"{_text(what, expected)}: no answer within {timeout:g} s; reset() the board and load "
                                "the network again, or allow more time") from error
        if status & NEVER:
            check_control(status)
        # At most a cycle lies between done and idle: another look must find it idle.
        if status == DONE and mask & IDLE and not board.ip(ip).read(CTRL) & IDLE:
            raise EarlyDoneError(f"{_text(what, expected)}: done, but still busy")
        seconds = board.accelerator_seconds - started
        if seconds < limits.earliest * least:
            raise EarlyDoneError(f"{_text(what, expected)}: done after {1e3 * seconds:.3g} ms, sooner than the circuit "
                                 "can be")
        return seconds

    def _over(self) -> None:
        self._running = 0
        self.board.in_flight = None

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
        if not 1 <= pictures <= self._capacity:
            raise InputError(f"{pictures} pictures: expected 1..{self._capacity} in one run; split larger batches")

    def _in_flight(self) -> int:
        """Pictures that `finish` waits for."""
        if self._closed or self.board.closed:
            self._check_open()
        if not self._running:
            raise BoardError("no run in flight: call start() first")
        pictures = self._running
        self._check_ready()
        return pictures

    @property
    def displaced(self) -> bool:
        """Whether the logic was configured again since the weights were written."""
        return bool(self._generation != self.board.generation or self.board.loaded != self.overlay)

    def _check_ready(self) -> None:
        if self._closed:
            self._check_open()
        if self.network is None:
            raise BoardError(self._missing)
        board = self.board
        if board.owner is not self or board.closed:
            board.require(self)
        loaded = board.loaded  # `displaced`, on the short way
        if self._generation != board.generation or loaded is not self.overlay and loaded != self.overlay:
            self.network = None
            raise ForeignBitstreamError("the logic was configured again since the weights were written: "
                                        "load the network again")

    def free(self) -> None:
        with self.board.lock:
            if self._closed:
                return
            self._check_idle()
            self.network, self._missing = None, "the buffers were given back: load the network again"
            self._free()

    def close(self) -> None:
        """Give buffers and board up, whatever the board answers; idempotent.

        A run in flight is waited for, or ended by configuring the logic again. Where neither works, the buffers go to
        the board's quarantine.
        """
        board = self.board
        with board.lock:
            # Again and again, if need be: an interrupt may have broken an earlier close off.
            try:
                if board.in_flight is self and not board.closed:
                    self._end_run()
            finally:
                self._closed, self.network = True, None
                try:
                    self._free()
                finally:
                    board.release(self)
                    self._running = 0

    def _end_run(self) -> None:
        """Let the run end, or configure the logic again; what fails of that is said, not raised."""
        board = self.board
        try:
            if not self._closed:
                self.finish()
        except Exception as error:
            _log.info("closed with a run in flight: %s", error)
        finally:  # also after an interrupt: nobody may call again
            if board.in_flight is self and board.owner is self:
                try:
                    board.reset()
                except Exception as error:
                    _log.warning("%s: a run did not end, and the reset failed too: %s", board.name, error)


def _text(what: tuple[object, ...], expected: float) -> str:
    return f"{str(what[0]).format(*what[1:])} (the cycle model says {1e3 * expected:.3g} ms)"
