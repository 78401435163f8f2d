"""What drivers of polled circuits share: one run in flight, ownership, a close that is safe at any time."""
from __future__ import annotations

import logging
from abc import abstractmethod
from typing import Any

from ...contracts.board import Board
from ...contracts.driver import Driver
from ...errors import (
    BoardBusyError,
    BoardError,
    ClosedError,
    DeadlineError,
    EarlyDoneError,
    ForeignBitstreamError,
    InputError,
    QnnError,
    StatusError,
    StrayRunError,
)

__all__ = ["CTRL", "DONE", "IDLE", "START", "PolledDriver"]

log = logging.getLogger(__name__)
CTRL = 0x00
START, DONE, IDLE = 0x1, 0x2, 0x4
_NEVER = 0xFFFFFD70  # control bits that no HLS block has; a bus without a slave often reads as all ones
_LOOK = 0.05  # seconds of waiting between looks at `cancel`


class PolledDriver(Driver):
    """A driver whose circuit is started and polled at register 0, and cannot be stopped.

    Not thread-safe between `start` and `finish`: a second `start` is refused with BoardBusyError.
    """

    def __init__(self, board: Board, overlay: Any, conservative: bool = False) -> None:
        super().__init__(board, overlay, conservative)
        self._done_mask = DONE if conservative else DONE | IDLE
        self._done = CTRL, self._done_mask | _NEVER
        self._running = 0  # images in flight
        self._generation = -1
        self._closed = self._cancelled = False
        self._missing = "no network is configured: call configure() first"

    @abstractmethod
    def _free(self) -> None:
        """Give the buffers back."""

    def cancel(self) -> None:
        self._cancelled = True

    @staticmethod
    def _drop_done(registers: Any) -> None:
        """One read takes a stale done away, and shows whether the logic is free."""
        status = registers.read(CTRL)
        if status & _NEVER:
            raise _strange(status)
        if not status & (IDLE | DONE):
            raise StrayRunError("the accelerator is still busy with an earlier run, which cannot be "
                                 "aborted: reset() the board and load the network again")

    def _await(self, expected: float, least: float, timeout: float | None, started: float,
               what: tuple[Any, ...]) -> float:
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
        done = self._done
        if timeout <= _LOOK:
            status = self._look(ip, done, timeout, timeout, expected, what)
        else:
            look, end = max(_LOOK, timeout / 1000), board.clock.now() + timeout
            status = 0
            while not status:
                left = end - board.clock.now()
                status = self._look(ip, done, min(left, look), timeout if left <= look else 0.0, expected, what)
        if status & _NEVER:
            raise _strange(status)
        # At most a cycle lies between done and idle: another look must find it idle.
        if status == DONE and mask & IDLE and not board.ip(ip).read(CTRL) & IDLE:
            raise EarlyDoneError(f"{_text(what, expected)}: done, but still busy")
        seconds = board.accelerator_seconds - started
        if seconds < limits.earliest * least:
            raise EarlyDoneError(f"{_text(what, expected)}: done after {1e3 * seconds:.3g} ms, sooner than the circuit "
                                 "can be")
        return seconds

    def _look(self, ip: str, done: tuple[int, int], seconds: float, timeout: float, expected: float,
              what: tuple[Any, ...]) -> int:
        """The bits after a part of a wait; 0 if there are none yet. `timeout` is said where it was the last part."""
        if self._cancelled:
            raise ClosedError(f"{_text(what, expected)}: closed while it was waited for")
        try:
            return self.board.wait(ip, done, seconds, self.overlay.name)
        except DeadlineError:
            if not timeout:
                return 0
        raise DeadlineError(f"{_text(what, expected)}: no answer within {timeout:g} s; reset() the board and load the "
                            "network again, or allow more time")

    def _over(self) -> None:
        self._running = 0
        self.board.mark_in_flight(None)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this driver is closed: make another")
        self.board.check_open()

    def _check_idle(self) -> None:
        if self._running and self._generation != self.board.generation:
            self._running = 0  # the logic was configured anew: that run is gone
        if self._running:
            raise BoardBusyError(f"a run of {self._running} images is in flight: call finish() first")

    def _check_count(self, images: int) -> None:
        if not 1 <= images <= self.capacity:
            raise InputError(f"{images} images: expected 1..{self.capacity} in one run; split larger batches")

    def _in_flight(self) -> int:
        """Images that `finish` waits for."""
        self._check_open()
        if not self._running:
            raise BoardError("no run in flight: call start() first")
        images = self._running
        self._check_ready()
        return images

    @property
    def displaced(self) -> bool:
        """Whether the logic was configured again since the weights were written."""
        return bool(self._generation != self.board.generation or self.board.loaded != self.overlay)

    def _check_ready(self) -> None:
        self._check_open()
        if self.network is None:
            raise BoardError(self._missing)
        self.board.require(self)
        board = self.board
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
        with self.board.lock:
            # Again and again, if need be: an interrupt may have broken an earlier close off.
            if self._running and not self._closed and not self.board.closed:
                try:
                    self.finish()
                except QnnError as error:
                    log.warning("closed with a run in flight: %s", error)
            self._closed, self.network = True, None
            # A circuit that still runs may write: its buffers stay until the board is reset.
            if not self._running or self.board.closed or self._generation != self.board.generation:
                self._free()
            self.board.release(self)


def _strange(status: int) -> StatusError:
    return StatusError(f"control register {status:#010x}: bits that the circuit does not have; the bus or the logic "
                       "is broken, or another bitstream is loaded")


def _text(what: tuple[Any, ...], expected: float) -> str:
    return "{} (the cycle model says {:.3g} ms)".format(what[0].format(*what[1:]), 1e3 * expected)
