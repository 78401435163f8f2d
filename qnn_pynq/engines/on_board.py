"""What the engines on a board share: taking the board, runs in chunks, states after a failure."""

from __future__ import annotations

import logging
from abc import abstractmethod
from time import perf_counter
from typing import Any

import numpy as np

from ..boards import Board
from ..contracts.families import driver_class
from ..errors import (
    AnomalyError,
    BoardBusyError,
    BoardError,
    BoardTakenError,
    ForeignBitstreamError,
    InputError,
    QnnError,
)
from ..networks.types import Network
from .base import Engine, EngineResult

__all__ = ["BoardEngine"]

_log = logging.getLogger(__name__)


class BoardEngine(Engine):
    """Runs a network on a board through the driver of an overlay, in chunks.

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
        self._hung = False
        self._in_driver = False
        self._layers: tuple[Any, ...] = ()

    # -- for the two kinds of engine ---------------------------------------------------------------------

    @abstractmethod
    def _prepare(self, network: Network) -> Any:
        """Kernels of what runs in software before the driver; kept in `self._kernel`."""

    @abstractmethod
    def _room(self, pictures: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        """The array that gets the driver's results, one row a picture."""

    @abstractmethod
    def _fill(self, pictures: np.ndarray) -> None:
        """Compute what the driver takes, put it there, and book the time in `self._stages`."""

    @abstractmethod
    def _result(self, found: np.ndarray) -> EngineResult:
        """The result of a finished run."""

    _host_stages: tuple[str, ...] = ("pack",)

    # -- the contract ------------------------------------------------------------------------------------

    def configure(self, network: Network) -> None:
        self._idle()
        self.check(network)
        kernel = self._prepare(network)
        with self.board.lock:
            owner = self.board.owner
            if not self.takeover and owner is not None and owner is not self.driver:
                raise BoardBusyError(
                    "{} belongs to another classifier: close it, or allow takeover=True".format(self.board.name)
                )
            self.network, self.state = None, "failed"
            self.recover()
            try:
                self.driver.configure(network)
            except BaseException as error:
                self._hung = not isinstance(error, BoardBusyError)
                raise
        self._kernel = kernel
        self.network, self.state = network, "ready"
        _log.debug("%s on %s by overlay %s", network.name, self.board.name, self.overlay.name)

    def abandon(self, reset: bool = True) -> None:
        super().abandon()
        self._hung = self._hung or reset

    def owned(self) -> bool:
        return self.board.owner is self.driver

    def limit(self, limits: Any) -> None:
        self.driver.limits = limits

    def cancel(self) -> None:
        self.driver.cancel()

    def recover(self) -> None:
        """Reset the board after a run that did not end, where the board is still ours."""
        if self._hung and not self.board.closed and self.board.owner is self.driver:
            self.board.reset()
        self._hung = False

    def start(self, pictures: np.ndarray, out: np.ndarray | None = None, sums: bool = False) -> None:
        self._ready(pictures, out)
        if sums and not self.gives_sums:
            raise BoardError("overlay {} gives bits, not sums".format(self.overlay.name))
        self._pictures = pictures
        self._found = self._room(pictures, out)
        self._done, self._layers = 0, ()
        self._stages = dict.fromkeys((*self._host_stages, "transfer", "accelerator"), 0.0)
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
        result = self._result(self._found)
        del self._pictures, self._found
        return result

    def layers(self) -> tuple[Any, ...]:
        """`LayerProfile` of each layer, of all pictures of the last run; empty where all layers run at once."""
        return self._layers

    def close(self) -> None:
        self.state, self.network = "closed", None
        with self.board.lock:
            try:
                self.recover()  # whoever takes the board next finds it free
            except Exception as error:
                _log.warning("closing the driver on %s: %s", self.name, error)
            finally:
                self._close_driver()

    def _close_driver(self) -> None:
        try:
            self.driver.close()
        except QnnError as error:
            _log.warning("closing the driver on %s: %s", self.name, error)

    # -- inside ------------------------------------------------------------------------------------------

    def _guarded(self, step: Any, *arguments: Any) -> None:
        """A step that leaves an explicit state behind when it fails."""
        try:
            step(*arguments)
        except BoardTakenError:
            self.state = "ready"  # as far as we are concerned; the driver says the same again next time
            raise
        except InputError:
            self.state = "ready"  # of the pictures; nothing was started
            raise
        except BaseException as error:
            self._hung = self._in_driver
            if self._in_driver or isinstance(error, QnnError):
                self.state, self.network = "failed", None
            else:
                self.state = "ready"  # interrupted, or out of memory, before anything was started
            if isinstance(error, BoardError) and not isinstance(error, AnomalyError) and self._displaced():
                raise ForeignBitstreamError("the logic was configured again during a run: {}".format(error)) from error
            raise

    def _displaced(self) -> bool:
        """Whether the logic was configured by somebody else while the board was ours."""
        return not self.board.closed and self.owned() and self.driver.displaced

    def _start_chunk(self) -> None:
        done = self._done
        self._in_driver = False
        self._chunk = min(self.driver.capacity, len(self._pictures) - done)
        self._fill(self._pictures[done : done + self._chunk])
        packed = perf_counter()
        self._in_driver = True
        self.driver.start(self._chunk)
        self._spent = perf_counter() - packed

    def _finish_chunk(self, deadline: float | None) -> None:
        driver, stages = self.driver, self._stages
        begun = perf_counter()
        self._found[self._done : self._done + self._chunk] = driver.finish(deadline)
        host = self._spent + perf_counter() - begun
        self._done += self._chunk
        self._layers = _sum_layers(self._layers, driver.layers())
        run = driver.timing["run"]
        stages["accelerator"] += run
        if self.board.emulated:
            # Without the driver's own figure, moving data between the two memories counts as emulation.
            transfer = driver.timing.get("transfer", 0.0)
            stages["transfer"] += transfer
            stages["emulation"] += max(0.0, host - transfer)
        else:
            # What the processor spent besides waiting: cache maintenance, addresses, the copy of the results.
            stages["transfer"] += max(0.0, host - run)


def _sum_layers(so_far: tuple[Any, ...], chunk: tuple[Any, ...]) -> tuple[Any, ...]:
    if not so_far:
        return chunk
    return tuple(
        new._replace(seconds=old.seconds + new.seconds, images=old.images + new.images)
        for old, new in zip(so_far, chunk)
    )
