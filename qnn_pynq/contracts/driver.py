"""The contract of a driver: one network at a time on one overlay, through the board contract only."""
from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np

from .board import Board

__all__ = ["Driver", "LayerProfile", "Limits"]


class Limits(NamedTuple):
    """When a run of the circuit is an anomaly.

    Attributes
    ----------
    margin, factor : float
        It may last `margin` seconds and `factor` times what the cycle model says.
    earliest : float
        Done in less than this part of the least time that the circuit can take is too soon; 0 looks at none.
    marked : bool
        Look whether each run wrote its results also where that costs something: layer by layer, a flush and two
        invalidates of the maps of each run. Words of dense networks are always looked at.
    """

    margin: float = 1.0
    factor: float = 20.0
    earliest: float = 1.0
    marked: bool = False


class LayerProfile(NamedTuple):
    """What one layer took in the last run.

    Attributes
    ----------
    layer : int
        Index in `network.layers`.
    name : str
    runs : int
        Starts of the circuit for one image, each behind a load of weights.
    macs : int
        Multiply-accumulates of one image.
    load_cycles, run_cycles : int
        Of the model: lower bounds for all loads, and for all runs on one image.
    seconds : float
        Of the circuit for the whole batch, modelled or by a clock.
    images : int
    """

    layer: int
    name: str
    runs: int
    macs: int
    load_cycles: int
    run_cycles: int
    seconds: float
    images: int


class Driver(ABC):
    """Knowledge of one overlay family.

    How inputs get to the logic differs: a driver of words gives a view to pack into,
    `input(images)`; a driver of maps has `input_shape` and takes codes, `put(index, codes)`.

    Parameters
    ----------
    board : Board
        Not touched before `configure`.
    overlay : Overlay
    conservative : bool
        Use the published register sequence and nothing inferred; slower.

    Attributes
    ----------
    network : Network or None
        What is configured; None before `configure`, after a failed one, after `free` and after `close`.
    timing : dict
        Seconds of the accelerator: "configure" and "run" (last run), "modelled": whether they
        come from the cycle model instead of a clock; "images" (last run); and the host's seconds
        of "transfer": flush, invalidate, and moves between layers (last run).
    limits : Limits
        Of the waits; may be replaced at any time.
    """

    kind = ""

    def __init__(self, board: Board, overlay: Any, conservative: bool = False) -> None:
        self.board = board
        self.overlay = overlay
        self.conservative = conservative
        self.network: Any = None
        self.limits = Limits()
        self.timing: dict[str, Any] = {
            "configure": 0.0, "run": 0.0, "transfer": 0.0, "images": 0, "modelled": board.emulated,
        }

    @property
    @abstractmethod
    def capacity(self) -> int:
        """Images of the largest chunk."""

    @property
    @abstractmethod
    def bytes_in(self) -> int:
        """Input bytes of one image in shared memory."""

    @property
    @abstractmethod
    def bytes_out(self) -> int:
        """Output bytes of one image in shared memory."""

    @abstractmethod
    def check(self, network: Any) -> None:
        """Raise UnsupportedNetworkError unless the overlay computes this network. Touches nothing."""

    @abstractmethod
    def configure(self, network: Any, timeout: float | None = None) -> None:
        """Take the board, load the overlay if it is not there, write the weights."""

    @abstractmethod
    def start(self, images: int) -> None:
        """Run the first `images` inputs."""

    @abstractmethod
    def finish(self, timeout: float | None = None) -> np.ndarray:
        """Wait for the run; a view that comes back is valid until the next `start`.

        `timeout` are seconds for each wait on the circuit; host work in between does not count.
        """

    @abstractmethod
    def expected_seconds(self, images: int) -> float:
        """Seconds that the cycle model gives a run of `images`."""

    @property
    def displaced(self) -> bool:
        """Whether somebody configured the logic since `configure`."""
        return False

    def cancel(self) -> None:  # noqa: B027 (a driver that never waits long needs none)
        """Let a wait in another thread end soon, with ClosedError; for a `close` that follows."""

    def layers(self) -> tuple[LayerProfile, ...]:
        """Per-layer profile of the last run; empty where the overlay runs all layers at once."""
        return ()

    @abstractmethod
    def free(self) -> None:
        """Give all buffers back until the next `configure`; the board stays whose it is.

        Raises
        ------
        BoardBusyError
            A run is in flight.
        """

    @abstractmethod
    def close(self) -> None:
        """Give buffers and board up; idempotent."""
