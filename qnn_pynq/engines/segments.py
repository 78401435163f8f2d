"""The engine of networks whose layers need several overlays: the logic is reconfigured between them."""

from __future__ import annotations

import dataclasses
import itertools
from time import perf_counter
from typing import Any, Callable, NamedTuple, Sequence

import numpy as np

from ..boards import Board
from ..errors import BoardError, BoardTakenError, UnsupportedNetworkError
from ..networks.types import Encoding, InputSpec, Network
from .base import Engine, EngineResult
from .conv_board import OffloadEngine
from .layers import map_shapes

__all__ = ["SegmentTime", "SegmentedEngine", "cut_segments"]


class SegmentTime(NamedTuple):
    """One segment's part of the last run: seconds of `configure`, and of each stage, for all `images`.

    `configure` is by the clock; on the emulated board that is the emulation's time, and no FPGA's.
    """

    overlay: str
    images: int
    configure: float
    stages: dict[str, float]


def cut_segments(network: Network) -> tuple[Network, ...]:
    """The network in parts, one a segment; all but the first begin with codes instead of pictures."""
    starts = [0] + [segment.first for segment in network.segments]
    shapes = map_shapes(network)
    parts = []
    for start, end in zip(starts, starts[1:] + [len(network.layers)]):
        height, width, channels = shapes[start]
        spec = InputSpec((height, width), channels, "as-is", None, Encoding("pixels")) if start else network.input
        parts.append(dataclasses.replace(network, layers=network.layers[start:end], input=spec, segments=()))
    return tuple(parts)


class SegmentedEngine(Engine):
    """Every picture of a batch passes the first segment before the logic is configured for the second.

    Parameters
    ----------
    board : Board
    overlays : sequence of Overlay
        One a segment, in the order of the segments.
    conservative, takeover : bool
        As for `BoardEngine`.

    Attributes
    ----------
    segments : tuple of SegmentTime
        Of the last run.
    """

    gives_sums = True

    def __init__(
        self, board: Board, overlays: Sequence[Any], conservative: bool = False, takeover: bool = True
    ) -> None:
        super().__init__()
        self.board = board
        self.overlays = tuple(overlays)
        self.name = board.name
        self.accelerator_is_modelled = board.emulated
        self.takeover = takeover
        self.segments: tuple[SegmentTime, ...] = ()
        self._engines = tuple(OffloadEngine(board, overlay, conservative, takeover) for overlay in self.overlays)
        self._parts: tuple[Network, ...] = ()
        self._loaded = -1  # the segment that the logic is configured for

    def check(self, network: Network) -> None:
        if len(network.segments) + 1 != len(self._engines):
            raise UnsupportedNetworkError(
                "network {!r} has {} segments, this engine has {} overlays".format(
                    network.name, len(network.segments) + 1, len(self._engines)
                )
            )
        for number, (engine, part) in enumerate(zip(self._engines, cut_segments(network))):
            try:
                engine.check(part)
            except UnsupportedNetworkError as error:
                first = network.segments[number - 1].first if number else 0
                where = "segment {} (layers counted from {} on): ".format(number, first) if number else ""
                raise UnsupportedNetworkError(where + str(error)) from None

    def configure(self, network: Network) -> None:
        self._idle()
        self.check(network)
        self.network, self.state = None, "failed"
        self._parts = cut_segments(network)
        with self.board.lock:
            # Whichever of ours has the board may hand it on, even where nobody else's is taken.
            self._engines[0].takeover = self.takeover or self.owned()
            for engine in self._engines:
                if engine.state == "running":  # an interrupt left it there
                    engine.abandon()
                engine.recover()
            self._switch(0)
        self.network, self.state = network, "ready"

    def first_stage(self) -> Callable[[np.ndarray], np.ndarray]:
        return self._engines[0].first_stage()

    def start(self, pictures: np.ndarray, out: np.ndarray | None = None, sums: bool = False) -> None:
        self._ready(pictures, out)
        self._times: list[SegmentTime] = []
        self._images = len(pictures)
        self._guarded(self._start, 0, pictures)
        self.state = "running"

    def wait(self, deadline: float | None = None) -> EngineResult:
        self._open()
        if self.state != "running":
            raise BoardError("no run is in flight on {}: call start() first".format(self.name))
        codes = self._guarded(self._finish, deadline)
        for index in range(1, len(self._engines)):
            self._guarded(self._start, index, codes)
            codes = self._guarded(self._finish, deadline)
        self.segments = tuple(self._times)
        self._stages = {}
        for time in self.segments:
            for name, seconds in time.stages.items():
                self._stages[name] = self._stages.get(name, 0.0) + seconds
        stage = "emulation" if self.board.emulated else "reconfigure"
        self._stages[stage] = self._stages.get(stage, 0.0) + sum(time.configure for time in self.segments)
        self.state = "ready"
        return EngineResult(None, None, self._stages, codes)

    def layers(self) -> tuple[Any, ...]:
        """`LayerProfile` of each layer of the last run, with its index in the whole network."""
        starts = itertools.accumulate([0] + [len(part.layers) for part in self._parts[:-1]])
        return tuple(
            layer._replace(layer=layer.layer + start)
            for start, engine in zip(starts, self._engines) for layer in engine.layers()
        )

    def abandon(self, reset: bool = True) -> None:
        super().abandon()
        self._loaded = -1
        for engine in self._engines:
            engine.abandon(reset and engine.owned())

    def owned(self) -> bool:
        return any(engine.owned() for engine in self._engines)

    def limit(self, limits: Any) -> None:
        for engine in self._engines:
            engine.limit(limits)

    def cancel(self) -> None:
        for engine in self._engines:
            engine.cancel()

    def close(self) -> None:
        self.state, self.network = "closed", None
        for engine in self._engines:
            engine.close()

    # -- inside ------------------------------------------------------------------------------------------

    def _switch(self, index: int) -> float:
        """Configure the logic for a segment; the seconds that it took."""
        begun = perf_counter()
        engine, self._loaded = self._engines[index], -1
        for other in self._engines:
            if other is not engine:
                other.driver.free()  # contiguous memory is small: one segment's buffers at a time
        engine.configure(self._parts[index])
        self._loaded = index
        return perf_counter() - begun

    def _start(self, index: int, inputs: np.ndarray) -> None:
        with self.board.lock:
            self.board.check_open()
            if not self.owned():
                raise BoardTakenError(
                    "{} was taken by another classifier: load the network again".format(self.board.name)
                )
            self._engines[index].takeover = True
            seconds = self._switch(index) if self._loaded != index else 0.0
        self._configured = seconds
        self._engines[index].start(inputs)
        self._index = index

    def _finish(self, deadline: float | None) -> Any:
        index = self._index
        result = self._engines[index].wait(deadline)
        self._times.append(
            SegmentTime(self.overlays[index].name, self._images, self._configured, dict(result.stages))
        )
        return result.codes

    def _guarded(self, step: Any, *arguments: Any) -> Any:
        """A step that leaves an explicit state behind when it fails."""
        try:
            return step(*arguments)
        except BoardTakenError:
            self.state = "ready"
            raise
        except BaseException:
            self.state, self.network = "failed", None
            raise
