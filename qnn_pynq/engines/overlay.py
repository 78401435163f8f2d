"""The overlay engine: a network on a board, through the driver of an overlay."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any

import numpy as np

from ..boards import Board
from ..errors import BoardBusyError, BoardError, BoardTakenError, QnnError
from ..families import driver_class
from ..network import Network
from .base import Engine, EngineResult, check_decode, make_encoder

__all__ = ["OverlayEngine"]

_log = logging.getLogger(__name__)


class OverlayEngine(Engine):
    """Packs into the DMA buffer, runs the circuit in chunks, takes the words.

    Parameters
    ----------
    board : Board
    overlay : Overlay
    conservative : bool
        The published register sequence only; slower.
    takeover : bool
        Whether `configure` may take the board from another classifier; else BoardBusyError.

    Notes
    -----
    Another engine's `configure` takes the board over: this one then raises BoardTakenError until it is
    configured again. After a deadline has passed the run may still be in the circuit, so `configure` first
    resets the board.
    """

    def __init__(self, board: Board, overlay: Any, conservative: bool = False, takeover: bool = True) -> None:
        super().__init__()
        self.board = board
        self.overlay = overlay
        self.name = board.name
        self.accelerator_is_modelled = board.emulated
        self.takeover = takeover
        self.driver = driver_class(overlay.kind)(board, overlay, conservative=conservative)
        self._encoder: Any = None
        self._hung = False

    def check(self, network: Network) -> None:
        check_decode(network)
        self.driver.check(network)

    def configure(self, network: Network) -> None:
        self._idle()
        self.check(network)
        encoder = make_encoder(network)
        with self.board.lock:
            owner = self.board.owner
            if not self.takeover and owner is not None and owner is not self.driver:
                raise BoardBusyError(
                    "{} belongs to another classifier: close it, or allow takeover=True".format(
                        self.board.name
                    )
                )
            self.network, self.state = None, "failed"
            if self._hung and owner is self.driver:
                self.board.reset()
            self._hung = False
            try:
                self.driver.configure(network)
            except BaseException as error:
                self._hung = not isinstance(error, BoardBusyError)
                raise
        self._encoder = encoder
        self.network, self.state = network, "ready"
        _log.debug("%s on %s by overlay %s", network.name, self.board.name, self.overlay.name)

    def start(self, pictures: np.ndarray, out: np.ndarray | None = None, sums: bool = False) -> None:
        self._ready(pictures, out)
        if sums:
            raise BoardError("overlay {} gives bits, not sums".format(self.overlay.name))
        self._pictures = pictures
        self._words = np.empty(len(pictures), np.uint64) if out is None else out
        self._done = 0
        self._stages = dict.fromkeys(("pack", "transfer", "accelerator"), 0.0)
        if self.board.emulated:
            self._stages["emulation"] = 0.0
        self.state = "running"
        if len(pictures):
            self._guarded(self._start_chunk)

    def wait(self, deadline: float | None = None) -> EngineResult:
        self._open()
        if self.state != "running":
            raise BoardError("no run is in flight on {}: call start() first".format(self.name))
        while self._done < len(self._pictures):
            self._guarded(self._finish_chunk, deadline)
            if self._done < len(self._pictures):
                self._guarded(self._start_chunk)
        self.state = "ready"
        result = EngineResult(self._words, None, self._stages)
        del self._pictures, self._words
        return result

    def _guarded(self, step: Any, *arguments: Any) -> None:
        """A step that leaves an explicit state behind when it fails."""
        try:
            step(*arguments)
        except BoardTakenError:
            self.state = "ready"  # as far as we are concerned; the driver says the same again next time
            raise
        except BaseException:
            self.state, self.network, self._hung = "failed", None, True
            raise

    def _start_chunk(self) -> None:
        driver, done = self.driver, self._done
        count = min(driver.capacity, len(self._pictures) - done)
        begun = perf_counter()
        self._encoder.encode(self._pictures[done : done + count], out=driver.input(count))
        packed = perf_counter()
        driver.start(count)
        self._chunk = count
        self._stages["pack"] += packed - begun
        self._spent = perf_counter() - packed

    def _finish_chunk(self, deadline: float | None) -> None:
        driver, stages = self.driver, self._stages
        begun = perf_counter()
        words = driver.finish(deadline)
        self._words[self._done : self._done + self._chunk] = words
        host = self._spent + perf_counter() - begun
        self._done += self._chunk
        run = driver.timing["run"]
        stages["accelerator"] += run
        if self.board.emulated:
            # Without the driver's own figure, moving data between the two memories counts as emulation.
            transfer = driver.timing.get("transfer", 0.0)
            stages["transfer"] += transfer
            stages["emulation"] += max(0.0, host - transfer)
        else:
            # What the processor spent besides waiting: cache maintenance, addresses, the copy of the words.
            stages["transfer"] += max(0.0, host - run)

    def close(self) -> None:
        if self.state == "closed":
            return
        self.state, self.network = "closed", None
        try:
            self.driver.close()
        except QnnError as error:
            _log.warning("closing the driver on %s: %s", self.name, error)
