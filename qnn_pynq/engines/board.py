"""The engine on a board: what the drivers of one or more overlays do for a network, for every family alike."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, Callable, Iterator, NamedTuple, Sequence

import numpy as np

from ..contracts.board import Board
from ..contracts.chip import PAGE
from ..contracts.driver import Driver, LayerProfile, Limits
from ..contracts.families import driver_class
from ..contracts.network import Network
from ..contracts.overlay import Overlay
from ..errors import (
    AnomalyError,
    BoardBusyError,
    BoardError,
    BoardTakenError,
    ForeignBitstreamError,
    InputError,
    QnnError,
)
from ..networks.rows import Row, compile_layers
from ..pictures.prepare import pictures_to_maps
from .base import Engine, EngineResult, Inputs, Prepared, Stage
from .parts import Part, plan_parts
from .stages import as_kind, make_encoder

__all__ = ["BoardEngine", "SegmentTime"]

_log = logging.getLogger(__name__)


class SegmentTime(NamedTuple):
    """One segment's part of the last run: seconds of `load`, and of each stage, for all `pictures`.

    `load` is by the clock; on the emulated board that is the emulation's time, and no FPGA's.
    """

    overlay: str
    pictures: int
    configure: float
    stages: dict[str, float]


class BoardEngine(Engine):
    """Runs a network on a board through the drivers of its overlays, in chunks.

    With several overlays every picture of a batch passes the first one's part of the network before the logic is
    configured for the second.

    Parameters
    ----------
    board : Board
    overlays : sequence of Overlay
        One a segment of the network, in their order.
    conservative : bool
        The published register sequence only; slower.
    takeover : bool
        Whether `load` may take the board from another classifier; else BoardBusyError.
    parts : sequence of Part, optional
        What `plan_parts` gave for the network that is going to be configured, so that it is not planned again.

    Attributes
    ----------
    drivers : tuple of Driver
    segments : tuple of SegmentTime
        Of the last run.

    Notes
    -----
    Another engine's `load` takes the board over: this one then raises BoardTakenError until it is
    configured again. After a deadline has passed the run may still be in the circuit, so `load` first
    resets the board.
    """

    def __init__(
        self, board: Board, overlays: Sequence[Overlay], conservative: bool = False, takeover: bool = True,
        parts: Sequence[Part] = (),
    ) -> None:
        super().__init__()
        self.board = board
        self.overlays = tuple(overlays)
        self.name = board.name
        self.accelerator_is_modelled = board.emulated
        self.takeover = takeover
        self.conservative = conservative
        self.segments: tuple[SegmentTime, ...] = ()
        self.drivers: tuple[Driver, ...] = tuple(
            driver_class(overlay.kind)(board, overlay, conservative) for overlay in overlays)
        self._parts: tuple[Part, ...] = ()
        self._planned = tuple(parts)
        self._loaded = -1  # the part that the logic is configured for
        self._fill: Callable[[np.ndarray], None] = self._put
        self._stage: Stage | None = None
        self._hung = False
        self._in_driver = False
        self._layers: dict[int, tuple[LayerProfile, ...]] = {}  # by part

    @property
    def driver(self) -> Driver:
        """The driver whose part is configured, else the first."""
        return self.drivers[max(0, self._loaded)]

    @property
    def first_on_logic(self) -> int:
        """Index of the first layer that runs on the logic; of the network that is configured."""
        return len(self._parts[0].split.before)

    # -- a network ---------------------------------------------------------------------------------------

    def check(self, network: Network) -> None:
        self._plan(network)

    def _plan(self, network: Network) -> tuple[Part, ...]:
        if not self._planned or self._planned[0].whole is not network:
            self._planned = plan_parts(network, self.overlays, self.conservative)
        return self._planned

    def load(self, network: Network) -> None:
        self.check_idle()
        parts = self._plan(network)
        first = parts[0]
        rows = compile_layers(first.split.before, network.signals)
        with self.board.lock:
            self._claimable()
            self.network, self.state = None, "failed"
            self.recover()
            self._parts = parts
            self._switch(0)
        self._stage = self._first_stage(first, rows)
        self.after = parts[-1].split.after
        self._end = len(network.layers) - len(self.after)
        self.kind = as_kind(network.signals[self._end])  # the last driver may have no network yet
        self.network, self.state = network, "ready"
        _log.debug("%s on %s by %s", network.name, self.board.name, ", ".join(part.overlay.name for part in parts))

    def _claimable(self) -> None:
        owner = self.board.owner
        if not self.takeover and owner is not None and owner not in self.drivers:
            raise BoardBusyError(
                f"{self.board.name} belongs to another classifier: close it, or allow takeover=True")

    def _switch(self, index: int) -> float:
        """Configure the logic for a part; the seconds that it took."""
        begun = perf_counter()
        self._loaded = -1
        for other, driver in enumerate(self.drivers):
            if other != index:
                driver.free()  # contiguous memory is small: one part's buffers at a time
        try:
            self.drivers[index].load(self._parts[index].network)
        except BaseException as error:
            self._hung = not isinstance(error, BoardBusyError)
            raise
        self._output = self.drivers[index].output
        first = ("first layer",) if self._parts[index].split.before else ()
        last = ("emulation",) if self.board.emulated else ()
        self._names = (*first, "pack", "transfer", "accelerator", *last)
        self._loaded = index
        return perf_counter() - begun

    def _first_stage(self, part: Part, rows: list[Row]) -> Stage | None:
        """What turns pictures into the first driver's inputs; for bits nothing that could be done before."""
        spec, port = part.network.input, self.drivers[0].input
        if port.kind == "bits":
            encoder = make_encoder(spec, 8 * port.shape[0])
            self._fill = partial(self._encode, encoder.encode)
            return None
        self._fill = self._put
        return partial(_through, partial(pictures_to_maps, spec=spec), tuple(row.kernel.run for row in rows))

    def first_stage(self) -> Stage | None:
        return self._stage

    # -- runs --------------------------------------------------------------------------------------------

    def run(self, pictures: Inputs, timeout: float | None = None, sums: bool = False) -> EngineResult:
        try:
            self.start(pictures, sums)
            return self.wait(timeout)
        except BaseException:
            if self.state == "running":  # broken off between two steps
                self.abandon()
            raise

    def start(self, pictures: Inputs, sums: bool = False) -> None:
        if self.state != "ready" or self.network is None:
            self.ready()
        if sums and not self.gives_sums:
            raise BoardError(f"overlay {self.overlays[0].name} gives {self.kind}, not the sums behind them")
        self._times: list[SegmentTime] = []
        self._images = len(pictures)
        self._layers = {}
        self.state = "running"
        self._guarded(self._begin, 0, pictures)

    def wait(self, timeout: float | None = None) -> EngineResult:
        if self.state != "running":
            self.check_running()
        for index in range(len(self.drivers)):
            if index:
                self._guarded(self._begin, index, self._found)
            while self._done < self._images:
                self._guarded(self._finish_chunk, timeout)
                if self._done < self._images:
                    self._guarded(self._start_chunk)
            self._times.append(SegmentTime(self.overlays[index].name, self._images, self._configured, self._stages))
        self.state = "ready"
        self.segments = tuple(self._times)
        found = self._found
        del self._inputs, self._found
        return EngineResult(self.kind, found, self._all_stages(), None, self._end)

    def _begin(self, index: int, inputs: Inputs) -> None:
        """Start the first chunk of a part."""
        self._in_driver = False
        self._configured = 0.0
        if self._loaded != index:
            with self.board.lock:
                self._require_owned()
                self._configured = self._switch(index)
        self._driver, self._inputs, self._done = self.drivers[index], inputs, 0
        self._found = np.empty((self._images, *self._output.shape), self._output.dtype)
        self._index = index
        self._stages = dict.fromkeys(self._names, 0.0)
        if self._images:
            self._start_chunk()

    def _start_chunk(self) -> None:
        done = self._done
        self._in_driver = False
        left = self._images - done
        self._chunk = left if left == 1 else min(self._driver.capacity, left)
        chunk = self._inputs[done : done + self._chunk]
        begun = perf_counter()
        if isinstance(chunk, Prepared):
            chunk = chunk.values if chunk.stage is self._stage else chunk.rows
        if not self._index and self._stage is not None and chunk.ndim == 2:
            chunk = self._stage(chunk)
            if "first layer" in self._stages:
                self._stages["first layer"] += perf_counter() - begun
                begun = perf_counter()
        (self._put if self._index else self._fill)(chunk)
        packed = perf_counter()
        self._stages["pack"] += packed - begun
        self._in_driver = True
        self._driver.start(self._chunk)
        self._spent = perf_counter() - packed

    def _put(self, values: np.ndarray) -> None:
        self._driver.put(values)

    def _encode(self, encode: Callable[..., np.ndarray], pictures: np.ndarray) -> None:
        room = self._driver.room(len(pictures))
        made = encode(pictures, out=room)
        if room is None:
            self._driver.put(made)

    def _finish_chunk(self, timeout: float | None) -> None:
        driver, stages = self._driver, self._stages
        begun = perf_counter()
        self._found[self._done : self._done + self._chunk] = driver.finish(timeout)
        host = self._spent + perf_counter() - begun
        self._done += self._chunk
        layers = driver.layers()
        if layers:
            self._layers[self._index] = _sum_layers(self._layers.get(self._index, ()), layers)
        run = driver.timing["run"]
        stages["accelerator"] += run
        if self.board.emulated:
            # Without the driver's own figure, moving data between the two memories counts as emulation.
            transfer = driver.timing["transfer"]
            stages["transfer"] += transfer
            stages["emulation"] += max(0.0, host - transfer)
        else:
            # What the processor spent besides waiting: cache maintenance, addresses, the copy of the results.
            stages["transfer"] += max(0.0, host - run)

    def _all_stages(self) -> dict[str, float]:
        if len(self._times) == 1:
            return self._stages
        stages: dict[str, float] = {}
        for time in self._times:
            for name, seconds in time.stages.items():
                stages[name] = stages.get(name, 0.0) + seconds
        name = "emulation" if self.board.emulated else "reconfigure"
        stages[name] = stages.get(name, 0.0) + sum(time.configure for time in self._times)
        return stages

    def layers(self) -> tuple[LayerProfile, ...]:
        return tuple(
            layer._replace(layer=layer.layer + self._parts[index].first)
            for index, layers in sorted(self._layers.items()) for layer in layers
        )

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Within this, once a network is configured again, the buffers lie in other places than before."""
        with self.board.lock:
            self._require_owned()
            self.state, self.network = "failed", None  # first: an interrupt may come at any time
            for driver in self.drivers:
                driver.free()
            spacer = self.board.allocate(PAGE, np.uint8)
        try:
            yield
        finally:
            spacer.close()

    # -- recovery and end --------------------------------------------------------------------------------

    def abandon(self, reset: bool = True) -> None:
        super().abandon()
        self._loaded = -1
        self._hung = self._hung or reset

    def owned(self) -> bool:
        owner = self.board.owner
        return owner is not None and owner in self.drivers

    def limit(self, limits: Limits) -> None:
        for driver in self.drivers:
            driver.limits = limits

    def cancel(self) -> None:
        for driver in self.drivers:
            driver.cancel()

    def recover(self) -> None:
        """Reset the board after a run that did not end, where the board is still ours."""
        if self._hung and not self.board.closed and self.owned():
            self.board.reset()
        self._hung = False

    def close(self) -> None:
        self.state, self.network = "closed", None
        with self.board.lock:
            try:
                self.recover()  # whoever takes the board next finds it free
            except Exception as error:
                _log.warning("closing the drivers on %s: %s", self.name, error)
            finally:
                self._close_drivers(0)

    def _close_drivers(self, first: int) -> None:
        """All from the first one on, whatever becomes of those before."""
        if first == len(self.drivers):
            return
        try:
            self.drivers[first].close()
        except QnnError as error:
            _log.warning("closing the driver on %s: %s", self.name, error)
        finally:
            self._close_drivers(first + 1)

    # -- inside ------------------------------------------------------------------------------------------

    def _require_owned(self) -> None:
        self.board.check_open()
        if not self.owned():
            raise BoardTakenError(f"{self.board.name} was taken by another classifier: load the network again")

    def _guarded(self, step: Callable[..., None], *arguments: Any) -> None:
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
            self._hung = self._hung or self._in_driver
            if self._in_driver or self._loaded < 0 or isinstance(error, QnnError):
                self.state, self.network = "failed", None
            else:
                self.state = "ready"  # interrupted, or out of memory, before anything was started
            if isinstance(error, BoardError) and not isinstance(error, AnomalyError) and self._displaced():
                raise ForeignBitstreamError(f"the logic was configured again during a run: {error}") from error
            raise

    def _displaced(self) -> bool:
        """Whether the logic was configured by somebody else while the board was ours."""
        return (not self.board.closed and self.owned() and self._loaded >= 0
                and self.drivers[self._loaded].displaced)


def _through(prepare: Stage, kernels: Sequence[Callable[[np.ndarray], np.ndarray]], pictures: np.ndarray) -> np.ndarray:
    values = prepare(pictures)
    for kernel in kernels:
        values = kernel(values)
    return values


def _sum_layers(so_far: tuple[LayerProfile, ...], chunk: tuple[LayerProfile, ...]) -> tuple[LayerProfile, ...]:
    if not so_far:
        return chunk
    return tuple(
        new._replace(seconds=old.seconds + new.seconds, pictures=old.pictures + new.pictures)
        for old, new in zip(so_far, chunk)
    )
