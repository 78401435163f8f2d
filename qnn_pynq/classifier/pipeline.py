"""`Pipeline`: one network on one engine, from pictures to predictions. Holds no lock and owns nothing."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Iterable, NamedTuple, Union

import numpy as np

from ..contracts.network import Network
from ..engines import Engine, EngineResult, Prepared
from ..engines.base import Inputs
from ..errors import InputError, ScoresUnavailableError
from ..pictures.prepare import Invert, is_batch, prepare, prepare_many
from ..reliability.guard import Guard
from .decode import make_decoder
from .results import Evaluation, Prediction

__all__ = ["Pictures", "Pipeline", "Work"]

Pictures = Union[np.ndarray, Iterable[Any]]


class Work(NamedTuple):
    """Pictures made ready for the engine, and the seconds of preparing them and of the first layer."""

    inputs: Inputs
    preparing: float
    first: float


class Pipeline:
    """Prepares, runs and decodes.

    Parameters
    ----------
    network : Network
    guard : Guard
        With the network loaded.
    timeout : float, optional
        Seconds for each wait on hardware.

    Attributes
    ----------
    whole : set of tuple
        Shapes of one picture of the network's size, whose pixels need no look.
    single : set of tuple
        Shapes of arrays that are one picture.
    """

    def __init__(self, network: Network, guard: Guard, timeout: float | None) -> None:
        self.network = network
        self.guard = guard
        self._decoded = guard.engine
        self.decoder = make_decoder(network, guard.engine)
        self._first = guard.engine.first_stage()
        self.pixels = network.input.pixels
        self._timeout = timeout
        height, width = network.input.size
        channels = network.input.channels
        one: set[Any] = {(self.pixels,), (height, width, channels)}
        if channels == 1:
            one.add((height, width))
        # Pictures that are resized as floats are not settled by their shape, and codes are looked at.
        self.whole = one if network.input.encoding.kind not in ("mean", "codes") else set()
        self.single = {(1, *shape) for shape in self.whole} | (one - {(height, width, channels)})

    # -- pictures ----------------------------------------------------------------------------------------

    def one(self, picture: Any, invert: Invert) -> np.ndarray:
        """One picture → (1, pixels)."""
        return prepare(picture, self.network.input, invert).reshape(1, self.pixels)

    def rows(self, X: Pictures) -> np.ndarray:
        """Anything that stands for pictures → (n, pixels)."""
        spec = self.network.input
        if isinstance(X, np.ndarray) and not is_batch(X, spec) and X.shape in self.single:
            return self.one(X, "auto")
        return prepare_many(X, spec)

    def some(self, pictures: Any, invert: Invert) -> np.ndarray:
        """One picture, or a list or array of at least one → (n, pixels)."""
        spec = self.network.input
        array = isinstance(pictures, np.ndarray)
        if isinstance(pictures, (list, tuple)) or (array and (pictures.ndim == 4 or is_batch(pictures, spec))):
            rows = prepare_many(pictures, spec, invert)
        else:
            rows = self.one(pictures, invert)
        if not len(rows):
            raise InputError("no pictures: expected at least one to profile")
        return rows

    def make_ready(self, pictures: list[Any], invert: Invert) -> Work:
        """All that needs no hardware; may run beside a run."""
        begun = perf_counter()
        rows = prepare_many(pictures, self.network.input, invert)
        prepared = perf_counter()
        stage = self._first
        inputs = rows if stage is None else Prepared(rows, stage(rows), stage)
        return Work(inputs, prepared - begun, perf_counter() - prepared)

    # -- answers -----------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """The engine that answers now."""
        return self.guard.engine

    def run(self, rows: Inputs, sums: bool = False) -> EngineResult:
        """What the engine gives for (n, pixels), or for what its first stage made of them."""
        result = self.guard.run(rows, self._timeout, sums)
        if self.guard.engine is not self._decoded:  # an alarm: the processor goes on
            self._decoded = self.guard.engine
            self.decoder = make_decoder(self.network, self._decoded)
        return result

    def indices(self, rows: np.ndarray) -> tuple[np.ndarray, int]:
        """(class numbers intp (n,), number of pictures for which no neuron fired)."""
        result = self.run(rows)
        return self.decoder.indices(self.decoder.outputs(result))

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """(n, classes), as the decoder has them."""
        result = self.run(rows)
        return self.decoder.scores(self.decoder.outputs(result))

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """float (n, classes), where the decoder ranks."""
        result = self.run(rows, sums=True)
        found = self.decoder.probabilities(result, self.decoder.outputs(result))
        if found is None:
            raise ScoresUnavailableError(f"network {self.network.name!r} has no probabilities on {self.engine.name}")
        return found

    def features(self, rows: np.ndarray) -> np.ndarray:
        """What arrives at the tail: uint8 codes (n, H, W, C) of the last map."""
        if self.engine.kind != "codes":
            raise ScoresUnavailableError(f"network {self.network.name!r} has no maps of features")
        result = self.run(rows)
        return self.decoder.outputs(result) if self.network.decode.rule == "features" else result.values

    def predictions(self, work: Work) -> list[Prediction]:
        """One a picture; each has its part of the batch's stage times."""
        result = self.run(work.inputs, sums=self.guard.engine.gives_sums)
        decoder, engine = self.decoder, self.guard.engine
        begun = perf_counter()
        outputs = decoder.outputs(result)
        indices, _ = decoder.indices(outputs)
        scores = decoder.scores(outputs)
        fired = decoder.fired(scores)
        probabilities = decoder.probabilities(result, outputs)
        stages = self._stages(work.preparing, result.stages, perf_counter() - begun)
        if "first layer" in stages:
            stages["first layer"] += work.first
        shared = {name: seconds / len(work.inputs) for name, seconds in stages.items()}
        return [
            Prediction(
                label=self.network.classes[index],
                index=index,
                scores=scores[k],
                fired=bool(fired[k]),
                classes=self.network.classes,
                probabilities=None if probabilities is None else probabilities[k],
                stages=shared,
                accelerator_is_modelled=engine.accelerator_is_modelled,
                last_wins=decoder.last_wins,
            )
            for k, index in enumerate(indices.tolist())
        ]

    def evaluate(self, rows: np.ndarray, labels: np.ndarray, preparing: float) -> Evaluation:
        """Answers to (n, pixels) beside their labels; `preparing` seconds went into the rows."""
        started = perf_counter()
        result = self.run(rows)
        computed = perf_counter()
        answers, unfired = self.decoder.indices(self.decoder.outputs(result))
        done = perf_counter()
        return Evaluation(
            network=self.network.name,
            board=self.engine.name,
            classes=self.network.classes,
            labels=labels,
            predictions=answers,
            unfired=unfired,
            seconds=done - started + preparing,
            stages=self._stages(preparing, result.stages, done - computed),
            accelerator_is_modelled=self.engine.accelerator_is_modelled,
        )

    # -- inside ------------------------------------------------------------------------------------------

    def _stages(self, preprocess: float, stages: dict[str, float], after: float) -> dict[str, float]:
        return {"preprocess": preprocess, **stages, self.decoder.stage: after}
