"""The contract of an engine: pictures in, output words or codes out, for one network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Callable, NamedTuple, TypeVar

import numpy as np

from ..errors import ClosedError, InputError, NotReadyError, UnsupportedNetworkError
from ..kernels import Encoder
from ..networks.types import Dense, Network

__all__ = ["Answer", "Engine", "EngineResult", "make_encoder"]

Answer = TypeVar("Answer")


class EngineResult(NamedTuple):
    """What one run gave.

    Attributes
    ----------
    words : uint64 (N,) or None
        Bit j is set where output neuron j fired; None of a convolutional network.
    sums : int32 (N, outputs) or None
        Accumulators of the last layer, where the engine has them and they were asked for.
    stages : dict of str to float
        Seconds of each stage: "kernel" in software; "first layer" (where there is one), "pack", "transfer",
        "accelerator", "emulation" (only on an emulated board) with an overlay.
    codes : uint8 (N, H, W, C) or None
        What a convolutional network's last map holds.
    """

    words: Any
    sums: np.ndarray | None
    stages: dict[str, float]
    codes: Any = None


def make_encoder(network: Network) -> Encoder:
    """The kernel that turns pictures into the first layer's bits."""
    coding = network.input.encoding
    first = network.layers[0]
    assert isinstance(first, Dense)
    pixels, bits = network.input.pixels, first.inputs
    if coding.kind == "threshold":
        return Encoder(pixels, bits, threshold=coding.threshold)
    return Encoder(pixels, bits, index=coding.pixels, thresholds=coding.thresholds)


def _as_they_are(pictures: np.ndarray) -> np.ndarray:
    return pictures


class Engine(ABC):
    """Computes one network at a time. Not thread-safe: the classifier holds a lock.

    Attributes
    ----------
    name : str
        "cpu", or the board's name.
    gives_sums : bool
        Whether `run(..., sums=True)` works.
    accelerator_is_modelled : bool
        The stage "accelerator" comes from a cycle model, not from a clock.
    network : Network or None
        None before `configure`, after a failed one, and after `close`.
    state : str
        "new", "ready", "running", "failed" or "closed". A failed engine refuses to run until `configure`
        succeeds.
    """

    name = ""
    gives_sums = False
    accelerator_is_modelled = False

    def __init__(self) -> None:
        self.network: Network | None = None
        self.state = "new"
        self._stages: dict[str, float] = {}

    @property
    def bare(self) -> Engine:
        """The engine that computes: itself, or the one that it guards."""
        return self

    @abstractmethod
    def check(self, network: Network) -> None:
        """Raise UnsupportedNetworkError unless this engine computes the network. Changes nothing."""

    @abstractmethod
    def configure(self, network: Network) -> None:
        """Take a network; after a failure this starts anew."""

    def first_stage(self) -> Callable[[np.ndarray], np.ndarray]:
        """What may be computed beside a run: from pictures (N, pixels) to what `start` takes in their place.

        The function belongs to the network that is configured now; it touches no hardware, may be called from
        any thread, and stays valid when another network is configured. Most engines have nothing of the kind:
        it gives the pictures back.
        """
        return _as_they_are

    @abstractmethod
    def start(self, pictures: np.ndarray, out: np.ndarray | None = None, sums: bool = False) -> None:
        """Begin a run. `pictures` uint8 (N, pixels) in C order must stay as it is until `wait`."""

    @abstractmethod
    def wait(self, deadline: float | None = None) -> EngineResult:
        """Finish the run that `start` began; `deadline` seconds for each wait on hardware."""

    def run(
        self,
        pictures: np.ndarray,
        out: np.ndarray | None = None,
        deadline: float | None = None,
        sums: bool = False,
    ) -> EngineResult:
        """Compute a batch.

        Parameters
        ----------
        pictures : uint8 (N, pixels), C order
        out : uint64 (N,), optional
            Gets the words.
        deadline : float, optional
            Seconds for each wait on hardware; None: what the cycle model allows.
        sums : bool
            Give the last layer's accumulators too, where `gives_sums`.
        """
        try:
            self.start(pictures, out, sums)
            return self.wait(deadline)
        except BaseException:
            if self.state == "running":  # broken off between two steps
                self.abandon()
            raise

    def one(self, picture: np.ndarray, deadline: float | None = None) -> int:
        """Output word of one picture, uint8 with as many elements as the network has pixels, C order."""
        return int(self.run(picture.reshape(1, -1), deadline=deadline).words[0])

    def profile(self) -> dict[str, float]:
        """Seconds of each stage of the last run."""
        return dict(self._stages)

    def abandon(self, reset: bool = True) -> None:
        """Give up the run in flight, if there is one; the next `configure` makes a new beginning.

        Parameters
        ----------
        reset : bool
            Let `configure` reset the board: a run may still be in the circuit.
        """
        self._open()
        self.state, self.network = "failed", None

    def mend(self) -> None:  # noqa: B027 (only a guarded engine goes on by itself)
        """Recover from a run that was broken off, where that needs no new `configure`."""

    def meet(self, work: Callable[[], Answer]) -> Answer:
        """What `work` on `bare` gives; a guarded engine meets anomalies of it, and then it is done again."""
        return work()

    def owned(self) -> bool:
        """Whether what is computed on is still ours."""
        return True

    def limit(self, limits: Any) -> None:  # noqa: B027 (engines without hardware wait for nothing)
        """Take other `Limits` for the waits on hardware."""

    def cancel(self) -> None:  # noqa: B027 (engines without hardware wait for nothing)
        """From another thread: let a wait on hardware end soon, with ClosedError; `close` follows."""

    @abstractmethod
    def close(self) -> None:
        """Give everything up; idempotent."""

    def ready(self, pictures: np.ndarray) -> Network:
        """The network; ClosedError or BoardError unless a run on `pictures` may begin."""
        return self._ready(pictures, None)

    # -- for the engines ---------------------------------------------------------------------------------

    def _open(self) -> None:
        if self.state == "closed":
            raise ClosedError("this classifier is closed: make another")

    def _idle(self) -> None:
        self._open()
        if self.state == "running":
            raise NotReadyError("a run is in flight on {}: wait() for it first".format(self.name))

    def _ready(self, pictures: np.ndarray, out: np.ndarray | None) -> Network:
        """Check that a run may begin, and its arrays."""
        self._idle()
        if self.state == "failed":
            raise NotReadyError("the last run or load on {} failed: load a network again".format(self.name))
        if self.network is None:
            raise NotReadyError("no network is configured on {}: load one first".format(self.name))
        if out is not None and (out.dtype != np.uint64 or out.shape != (len(pictures),)):
            raise InputError(
                "out must be uint64 of shape ({},), got {} of shape {}".format(
                    len(pictures), out.dtype, out.shape
                )
            )
        return self.network

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def check_decode(network: Network) -> None:
    """Raise UnsupportedNetworkError unless the answer is an output word of at most 64 bits."""
    last = network.layers[-1]
    if not isinstance(last, Dense):
        raise UnsupportedNetworkError(
            "network {!r} has {} layers, expected dense ones only".format(network.name, type(last).__name__.lower())
        )
    if last.output != "binary" or network.decode.rule != "highest-bit":
        raise UnsupportedNetworkError(
            "network {!r}: output {!r} with decode rule {!r}, expected 'binary' with 'highest-bit'".format(
                network.name, last.output, network.decode.rule
            )
        )
    if not 1 <= network.output_neurons <= min(last.outputs, 64):
        raise UnsupportedNetworkError(
            "network {!r}: {} classes in {} levels need {} output neurons, it has {} (at most 64)".format(
                network.name,
                len(network.classes),
                network.decode.levels,
                network.output_neurons,
                last.outputs,
            )
        )
