"""The contract of an engine: pictures in, values out, for one network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Callable, NamedTuple, Union

import numpy as np

from ..contracts.driver import LayerProfile, Limits
from ..contracts.layer import Layer
from ..contracts.network import Network
from ..errors import BoardError, ClosedError, NotReadyError

__all__ = ["Engine", "EngineResult", "Inputs", "Prepared", "Stage"]

Stage = Callable[[np.ndarray], np.ndarray]


class EngineResult(NamedTuple):
    """What one run gave.

    Attributes
    ----------
    kind : str
        Of the values: "words", uint64 (N,), bit j is set where output neuron j fired; "codes", uint8 (N, H, W, C) of
        the last map; "sums", int32 (N, outputs); "scores", float64 (N, outputs).
    values : array
    stages : dict of str to float
        Seconds of each stage: "kernel" in software; "first layer" (where there is one), "pack", "transfer",
        "accelerator", "emulation" (only on an emulated board) with an overlay.
    sums : int32 (N, outputs) or None
        What is behind words, where it was asked for.
    end : int
        So many layers of the network are in the values.
    """

    kind: str
    values: np.ndarray
    stages: dict[str, float]
    sums: np.ndarray | None = None
    end: int = 0


class Prepared:
    """Pictures, and what an engine's first stage made of them; any other engine begins with the pictures.

    Attributes
    ----------
    rows : uint8 or float32 (N, pixels)
    values : array (N, ...)
    stage : callable
        That made `values`.
    """

    __slots__ = ("rows", "stage", "values")

    def __init__(self, rows: np.ndarray, values: np.ndarray, stage: Stage) -> None:
        self.rows, self.values, self.stage = rows, values, stage

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> Prepared:
        return Prepared(self.rows[part], self.values[part], self.stage)


Inputs = Union[np.ndarray, Prepared]


class Engine(ABC):
    """Computes one network at a time. Not thread-safe: the classifier holds a lock.

    Attributes
    ----------
    name : str
        "cpu", or the board's name.
    accelerator_is_modelled : bool
        The stage "accelerator" comes from a cycle model, not from a clock.
    network : Network or None
        None before `load`, after a failed one, and after `close`.
    kind : str
        Of what the network configured gives: see `EngineResult`.
    gives_sums : bool
        Whether `run(..., sums=True)` gives the sums behind words.
    after : tuple of Layer
        Layers that are left to the processor, behind the values.
    state : str
        "new", "ready", "running", "failed" or "closed". A failed engine refuses to run until `load`
        succeeds.
    """

    name = ""
    gives_sums = False
    accelerator_is_modelled = False

    def __init__(self) -> None:
        self.network: Network | None = None
        self.kind = ""
        self.after: tuple[Layer, ...] = ()
        self.state = "new"

    @abstractmethod
    def check(self, network: Network) -> None:
        """Raise UnsupportedNetworkError unless this engine computes the network. Changes nothing."""

    @abstractmethod
    def load(self, network: Network) -> None:
        """Take a network; after a failure this starts anew."""

    def first_stage(self) -> Stage | None:
        """What may be computed beside a run, from pictures (N, pixels) to the values of `Prepared`; None: nothing.

        The function belongs to the network that is configured now; it touches no hardware, may be called from
        any thread, and stays valid when another network is configured.
        """
        return None

    @abstractmethod
    def start(self, pictures: Inputs, sums: bool = False) -> None:
        """Begin a run. `pictures`, uint8 (N, pixels) in C order or `Prepared`, must stay as they are until `wait`."""

    @abstractmethod
    def wait(self, timeout: float | None = None) -> EngineResult:
        """Finish the run that `start` began; `timeout` seconds for each wait on hardware."""

    @abstractmethod
    def run(self, pictures: Inputs, timeout: float | None = None, sums: bool = False) -> EngineResult:
        """Compute a batch.

        Parameters
        ----------
        pictures : uint8 (N, pixels) in C order, or Prepared
        timeout : float, optional
            Seconds for each wait on hardware; None: what the cycle model allows.
        sums : bool
            Give the sums behind words too, where `gives_sums`.
        """

    def one(self, picture: np.ndarray, timeout: float | None = None) -> int:
        """Output word of one picture, uint8 with as many elements as the network has pixels, C order."""
        return int(self.run(picture.reshape(1, -1), timeout).values[0])

    def layers(self) -> tuple[LayerProfile, ...]:
        """Profile of each layer of the last run on the logic, its index in the network; empty where there is none."""
        return ()

    def abandon(self, reset: bool = True) -> None:
        """Give up the run in flight, if there is one; the next `load` makes a new beginning.

        Parameters
        ----------
        reset : bool
            Let `load` reset the board: a run may still be in the circuit.
        """
        self.check_open()
        self.state, self.network = "failed", None

    def owned(self) -> bool:
        """Whether what is computed on is still ours."""
        return True

    def limit(self, limits: Limits) -> None:  # noqa: B027 (engines without hardware wait for nothing)
        """Take other `Limits` for the waits on hardware."""

    def cancel(self) -> None:  # noqa: B027 (engines without hardware wait for nothing)
        """From another thread: let a wait on hardware end soon, with ClosedError; `close` follows."""

    @abstractmethod
    def close(self) -> None:
        """Give everything up; idempotent."""

    # -- states ------------------------------------------------------------------------------------------

    def check_open(self) -> None:
        """ClosedError after `close`."""
        if self.state == "closed":
            raise ClosedError("this classifier is closed: make another")

    def check_idle(self) -> None:
        """NotReadyError while a run is in flight, ClosedError after `close`."""
        self.check_open()
        if self.state == "running":
            raise NotReadyError(f"a run is in flight on {self.name}: wait() for it first")

    def ready(self) -> Network:
        """The network; ClosedError or NotReadyError unless a run may begin."""
        self.check_idle()
        if self.state == "failed":
            raise NotReadyError(f"the last run or load on {self.name} failed: load a network again")
        if self.network is None:
            raise NotReadyError(f"no network is configured on {self.name}: load one first")
        return self.network

    def check_running(self) -> None:
        """BoardError unless a run is in flight."""
        self.check_open()
        if self.state != "running":
            raise BoardError(f"no run is in flight on {self.name}: call start() first")

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
