"""`Stream`: predictions of an endless iterable; the next pictures are made ready while one batch is computed."""

from __future__ import annotations

import os
import time
from collections import deque
from functools import partial
from itertools import islice
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread, current_thread
from typing import TYPE_CHECKING, Any, Callable, Iterator, NamedTuple

import numpy as np
from PIL import Image

from .errors import ClosedError, InputError
from .preprocess import Invert, each
from .results import Prediction

if TYPE_CHECKING:
    from .classifier import Classifier

__all__ = ["Stream"]

_POLL = 0.1  # seconds between looks at the stop flag while a queue is full or empty
_WINDOW = 256  # batches behind `rate` and `latency`


class _Batch(NamedTuple):
    """Pictures on their way: as they came, made ready by a pipeline, and when the first was asked for; or an error."""

    pictures: list[Any]
    made: Any
    begun: float
    error: BaseException | None = None


class _Producer:
    """Takes pictures from the source and makes them ready, in a thread that an abandoned stream ends."""

    def __init__(self, make: Callable[[list[Any]], Any], source: Iterator[Any], size: int, ahead: int) -> None:
        self._make = make
        self._source = source
        self._size = size
        self.queue: Queue[_Batch | None] = Queue(ahead)
        self.stop = Event()
        self._process = os.getpid()
        self.thread = Thread(target=self._run, name="qnn-pynq stream", daemon=True)

    def _run(self) -> None:
        try:
            while not self.stop.is_set() and self._one_batch():
                pass
        finally:
            self._offer(None)
            close = getattr(self._source, "close", None)
            if close is not None:
                close()

    def _one_batch(self) -> bool:
        """Offer the next batch; False at the end of the source or after an error."""
        begun = time.perf_counter()
        batch: list[Any] = []
        failure: BaseException | None = None
        try:
            for picture in islice(self._source, self._size):
                batch.append(_kept(picture))
                if self.stop.is_set():
                    return False
        except BaseException as error:  # whatever it is, it belongs to whoever iterates
            failure = error
        for part in self._made(batch, begun):
            self._offer(part)
            failure = part.error or failure
            if part.error is not None:
                return False
        if failure is not None:
            self._offer(_Batch([], None, begun, failure))
        return failure is None and len(batch) == self._size

    def _made(self, batch: list[Any], begun: float) -> Iterator[_Batch]:
        """The batch made ready; where a picture is bad, those before it, then its error."""
        if not batch:
            return
        try:
            yield _Batch(batch, self._make(batch), begun)
            return
        except Exception as error:
            failure = error
        for picture in batch:
            try:
                yield _Batch([picture], self._make([picture]), begun)
            except Exception as error:
                failure = error
                break
        yield _Batch([], None, begun, failure)

    def _offer(self, batch: _Batch | None) -> None:
        while not self.stop.is_set():
            try:
                self.queue.put(batch, timeout=_POLL)
                return
            except Full:
                continue

    def check_caller(self) -> None:
        """Raise where waiting for a batch would be waiting for ever."""
        if current_thread() is self.thread:
            raise InputError("the source of a stream takes answers from the same stream: take them outside of it")
        if os.getpid() != self._process:
            raise ClosedError("a stream does not go on in a forked process: make another one there")

    def take(self) -> _Batch | None:
        """The next batch; None at the end. Short waits, so that Ctrl-C gets through everywhere."""
        while True:
            try:
                return self.queue.get(timeout=_POLL)
            except Empty:
                if not self.thread.is_alive() and self.queue.empty():
                    return None

    def end(self) -> None:
        """Stop taking pictures and drop what is ready; idempotent."""
        self.stop.set()
        while True:
            try:
                self.queue.get_nowait()
            except Empty:
                return


def _kept(picture: Any) -> Any:
    """A picture that stays as it is when the source uses its buffer again, as cameras do."""
    if isinstance(picture, np.ndarray):
        return picture.copy()
    return bytes(picture) if isinstance(picture, bytearray) else picture


def _source(pictures: Any) -> Iterator[Any]:
    """Iterator over an iterable of pictures, or over the picture files of a folder, by name."""
    if not isinstance(pictures, (str, os.PathLike)) or not os.path.isdir(pictures):
        return each(pictures)
    endings = Image.registered_extensions()
    files = sorted(path for path in Path(pictures).iterdir() if path.suffix.lower() in endings)
    if not files:
        raise InputError("folder {}: no picture in it, expected files such as .png or .jpg".format(pictures))
    return iter(files)


def _make_ready(classifier: Classifier, invert: Invert, pictures: list[Any]) -> tuple[Any, Any]:
    while True:
        pipeline = classifier._pipeline
        try:
            return pipeline, pipeline.make_ready(pictures, invert)
        except Exception:
            if classifier._pipeline is pipeline:
                raise
            # A network was loaded meanwhile: what the former one refused is not the last word.


class Stream:
    """Iterator of predictions, in the order of the pictures.

    One thread takes pictures from the iterable and prepares them; whoever iterates computes. At most
    `ahead` prepared batches wait between the two, so memory is bounded and a fast source is held back.
    An error of the source or of a picture is raised after the predictions of all pictures before it, and
    ends the stream.

    Attributes
    ----------
    frames : int
        Predictions handed out.
    latency : float
        Median seconds from taking a batch's first picture to its predictions, over the last batches.
    rate : float
        Pictures per second over the last batches.
    """

    def __init__(
        self, classifier: Classifier, pictures: Any, invert: Invert, batch_size: int, ahead: int
    ) -> None:
        self._classifier = classifier
        self._invert = invert
        self._producer = _Producer(partial(_make_ready, classifier, invert), _source(pictures), batch_size, ahead)
        self._ready: deque[Prediction] = deque()
        self._done: deque[tuple[float, float, int]] = deque(maxlen=_WINDOW)  # end, latency, pictures
        self._ended = False
        self.frames = 0

    def __iter__(self) -> Iterator[Prediction]:
        return self

    def __next__(self) -> Prediction:
        self._producer.check_caller()
        while not self._ready:
            if self._ended:
                raise StopIteration
            try:
                self._next_batch()
            except BaseException:
                self.close()
                raise
        self.frames += 1
        return self._ready.popleft()

    def _next_batch(self) -> None:
        if self._producer.thread.ident is None:
            self._producer.thread.start()
        batch = self._producer.take()
        if batch is None:
            self.close()
            return
        if batch.error is not None:
            raise batch.error
        pipeline, work = batch.made
        answers = self._classifier._answer_work(pipeline, work, batch.pictures, self._invert)
        now = time.perf_counter()
        self._done.append((now, now - batch.begun, len(answers)))
        self._ready.extend(answers)

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
        self._ready.clear()
        self._producer.end()
        if self._producer.thread.is_alive():
            self._producer.thread.join(timeout=1.0)  # a source that blocks for ever must not block us

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        producer = getattr(self, "_producer", None)
        if producer is not None:
            producer.stop.set()
