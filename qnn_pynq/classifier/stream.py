"""Predictions of an endless iterable: the next pictures are made ready while one batch is computed."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections import deque
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Iterator

from PIL import Image

from ..errors import InputError
from ..pictures.prepare import Invert, each
from .pipeline import Pipeline, Work
from .producer import Producer
from .results import Prediction

__all__ = ["Answering", "PredictionStream"]

_WINDOW = 256  # batches behind `rate` and `latency`


class Answering(ABC):
    """What a stream asks: pictures made ready beside a run, and the answers to them."""

    _pipeline: Pipeline

    @abstractmethod
    def _answer_work(self, made_by: Pipeline, work: Work, pictures: list[Any], invert: Invert) -> list[Prediction]:
        """Predictions of work; made again from the pictures if a network was loaded since."""


def _source(pictures: Any) -> Iterator[Any]:
    """Iterator over an iterable of pictures, or over the picture files of a folder, by name."""
    if not isinstance(pictures, (str, os.PathLike)) or not os.path.isdir(pictures):
        return each(pictures)
    endings = Image.registered_extensions()
    files = sorted(path for path in Path(pictures).iterdir() if path.suffix.lower() in endings)
    if not files:
        raise InputError(f"folder {pictures}: no picture in it, expected files such as .png or .jpg")
    return iter(files)


def _make_ready(classifier: Answering, invert: Invert, pictures: list[Any]) -> tuple[Any, Any]:
    while True:
        pipeline = classifier._pipeline
        try:
            return pipeline, pipeline.make_ready(pictures, invert)
        except Exception:
            if classifier._pipeline is pipeline:
                raise
            # A network was loaded meanwhile: what the former one refused is not the last word.


class PredictionStream:
    """Iterator of predictions, in the order of the pictures.

    One thread takes pictures from the iterable and prepares them; whoever iterates computes. At most
    `ahead` prepared batches wait between the two, so memory is bounded and a fast source is held back.
    An error of the source, of a picture or of the hardware is raised after the predictions of all pictures before it,
    and ends the stream.

    Ctrl-C, and whatever else a signal raises inside `next()`, ends the taking of pictures; those that were taken are
    not lost: iterating on gives their predictions, the interrupted batch computed again, each once. `close()` drops
    them.

    Attributes
    ----------
    frames : int
        Predictions handed out.
    taken : int
        Pictures taken from the iterable; the last `taken - frames` have no prediction.
    latency : float
        Median seconds from taking a batch's first picture to its predictions, over the last batches.
    rate : float
        Pictures per second over the last batches.
    """

    def __init__(
        self, classifier: Answering, pictures: Any, invert: Invert, batch_size: int, ahead: int
    ) -> None:
        self._classifier = classifier
        self._invert = invert
        self._producer = Producer(partial(_make_ready, classifier, invert), _source(pictures), batch_size, ahead)
        # Number of a batch, of its first prediction, and its predictions: replaced in one step, so that an interrupt
        # finds either the former or the next one.
        self._page: tuple[int, int, list[Prediction]] = (-1, 0, [])
        self._done: deque[tuple[float, float, int]] = deque(maxlen=_WINDOW)  # end, latency, pictures
        self._ended = False
        self._error: Exception | None = None  # that ended it, until it is out: an interrupt may come first
        self.frames = 0

    def __iter__(self) -> Iterator[Prediction]:
        return self

    def __next__(self) -> Prediction:
        self._producer.check_caller()
        frames = self.frames
        while True:
            if self._ended:
                error, self._error = self._error, None
                raise StopIteration if error is None else error
            _, first, answers = self._page
            if frames - first < len(answers):
                break
            try:
                self._next_batch()
            except Exception as error:
                self._error = error
                self.close()
                self._error = None
                raise
            except BaseException:
                self._producer.enough()
                raise
        answer = answers[frames - first]
        self.frames = frames + 1  # nothing that an interrupt could come between
        return answer

    def _next_batch(self) -> None:
        batch = self._producer.first(self._page[0])
        if batch is None:
            self.close()
            return
        if batch.error is not None:
            if not isinstance(batch.error, Exception):  # the source's own, no signal of ours: once is enough
                self._page = batch.number, self.frames, []
            raise batch.error
        pipeline, work = batch.made
        answers = self._classifier._answer_work(pipeline, work, batch.pictures, self._invert)
        self._page = batch.number, self.frames, answers
        now = time.perf_counter()
        self._done.append((now, now - batch.begun, len(answers)))

    @property
    def taken(self) -> int:
        """Pictures taken from the iterable."""
        return self._producer.taken

    @property
    def latency(self) -> float:
        """Median seconds from taking a batch's first picture to its predictions; nan before the first."""
        found = sorted(latency for _, latency, _ in self._done)
        return found[len(found) // 2] if found else float("nan")

    @property
    def rate(self) -> float:
        """Pictures per second between the first and the last remembered batch; nan before the second."""
        if len(self._done) < 2:
            return float("nan")
        pictures = sum(count for _, _, count in islice(self._done, 1, None))
        return pictures / (self._done[-1][0] - self._done[0][0])

    def close(self) -> None:
        """Stop: no more pictures are taken. Idempotent."""
        self._ended = True
        self._producer.end()
        if self._producer.thread.is_alive():
            self._producer.thread.join(timeout=1.0)  # a source that blocks for ever must not block us

    def __enter__(self) -> PredictionStream:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        producer = getattr(self, "_producer", None)
        if producer is not None:
            producer.end()
