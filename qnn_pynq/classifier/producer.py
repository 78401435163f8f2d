"""Takes pictures from a source and makes them ready, in a thread of its own."""

from __future__ import annotations

import os
import time
from collections import deque
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Thread, current_thread
from typing import Any, Callable, Iterator, NamedTuple

import numpy as np

from ..errors import ClosedError, InputError

__all__ = ["Batch", "Bell", "Producer"]

_POLL = 0.1  # seconds between looks at the stop flag; short waits, so that Ctrl-C gets through everywhere


class Batch(NamedTuple):
    """Pictures on their way: as they came, made ready by a pipeline, and when the first was asked for; or an error."""

    number: int
    pictures: list[Any]
    made: Any
    begun: float
    error: BaseException | None = None


class Bell:
    """Wakes one waiter, or the next that comes; an Event broken off by Ctrl-C may never wake again (Python < 3.11)."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        if self._queue.empty():
            self._queue.put(None)

    def wait(self, seconds: float) -> None:
        try:
            self._queue.get(timeout=seconds)
        except Empty:
            pass


class Producer:
    """Batches of an iterator, in order; the thread ends when nobody wants them any more.

    Parameters
    ----------
    make : callable
        Makes a list of pictures ready.
    source : iterator
    size : int
        Pictures of a batch.
    ahead : int
        Batches that wait while one is computed.

    Attributes
    ----------
    taken : int
        Pictures that came from the source.
    """

    def __init__(self, make: Callable[[list[Any]], Any], source: Iterator[Any], size: int, ahead: int) -> None:
        self._make = make
        self._source = source
        self._size = size
        self._ahead = ahead
        self._items: deque[Batch] = deque()
        self._held = 0  # whether the first item is being computed
        self._filled, self._freed = Bell(), Bell()
        self._enough = self._stop = self._over = False
        # What ended the thread; until it is known, what ends threads without a word.
        self._broken: BaseException | None = MemoryError("the thread that takes a stream's pictures has died")
        self._offered = 0
        self._process = os.getpid()
        self.taken = 0
        self.thread = Thread(target=self._run, name="qnn-pynq stream", daemon=True)

    # -- in the thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._enough and self._one_batch():
                pass
            self._broken = None
        except BaseException as error:
            self._broken = error
        finally:
            self._over = True
            self._filled.ring()
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
                self.taken += 1
                if self._enough:
                    break
        except BaseException as error:  # whatever it is, it belongs to whoever iterates
            failure = error
        for pictures, made, bad in self._made(batch):
            self._offer(pictures, made, begun, bad)
            if bad is not None:
                return False
        if failure is not None:
            self._offer([], None, begun, failure)
        return failure is None and len(batch) == self._size

    def _made(self, batch: list[Any]) -> Iterator[tuple[list[Any], Any, BaseException | None]]:
        """The batch made ready; where a picture is bad, those before it, then its error."""
        if not batch:
            return
        try:
            made = self._make(batch)
        except Exception:
            made = None
        if made is not None:
            yield batch, made, None
            return
        for picture in batch:
            try:
                made = self._make([picture])
            except Exception as error:
                yield [], None, error
                return
            yield [picture], made, None

    def _offer(self, pictures: list[Any], made: Any, begun: float, error: BaseException | None) -> None:
        # What was taken is kept, even if nothing more is wanted.
        while not self._enough and len(self._items) >= self._ahead + self._held:
            self._freed.wait(_POLL)
        if not self._stop:
            self._items.append(Batch(self._offered, pictures, made, begun, error))
            self._offered += 1
            self._filled.ring()

    # -- for whoever iterates ----------------------------------------------------------------------------

    def check_caller(self) -> None:
        """Raise where waiting for a batch would be waiting for ever."""
        if current_thread() is self.thread:
            raise InputError("the source of a stream takes answers from the same stream: take them outside of it")
        if os.getpid() != self._process:
            raise ClosedError("a stream does not go on in a forked process: make another one there")

    def first(self, done: int) -> Batch | None:
        """The batch behind number `done`, which stays here until a later call says that it is done; None at the end."""
        if self.thread.ident is None and not self._enough:
            self.thread.start()
        while True:
            while self._items and self._items[0].number <= done:
                self._items.popleft()
                self._held = 0
            if self._items:
                self._held = 1
                self._freed.ring()
                return self._items[0]
            self._held = 0
            self._freed.ring()
            if self._stop or self._over or not self.thread.is_alive():
                if self._items:
                    return self._items[0]
                if self._broken is not None and not self._stop and self.thread.ident is not None:
                    raise self._broken  # pictures that were taken are lost
                return None
            self._filled.wait(_POLL)

    def enough(self) -> None:
        """Take no more pictures; what was taken can still be had."""
        self._enough = True
        self._freed.ring()

    def end(self) -> None:
        """Take no more pictures and drop what is ready; idempotent."""
        self._enough = self._stop = True
        self._freed.ring()
        self._items.clear()


def _kept(picture: Any) -> Any:
    """A picture that stays as it is when the source uses its buffer again, as cameras do."""
    if isinstance(picture, np.ndarray):
        return picture.copy()
    return bytes(picture) if isinstance(picture, bytearray) else picture
