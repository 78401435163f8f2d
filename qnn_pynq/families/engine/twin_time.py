"""The cycle model of the engine: when the sequencer, the array, the loader and the storer do what, and wait for what.

A model of the circuit without disturbance: memory that answers at once and never stalls. `PACE` has every number that
comes from the pipeline.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from .twin_decode import Flags, Layer

__all__ = ["PACE", "Expired", "Timeline", "Transfer", "quiet"]


class Pace(NamedTuple):
    """Cycles of the pipeline."""

    start: int = 4  # from the write of start to the first word of the program
    word: int = 1  # a word of an instruction that is fetched
    decode: int = 3  # an instruction, beside its words
    skip: int = 2  # an instruction that is not executed
    feed: int = 6  # from a decoded layer to its first word
    drain: int = 16  # from the last word of a row group to its first result, in a chain without clusters
    step: int = 4  # a threshold, or a nibble of a raw sum: elements that a cluster compares one after the other
    pool: int = 6  # from the last word of a window to its first result
    read: int = 16  # from the start of a LOAD to its first word
    write: int = 8  # from the start of a STORE to its first word on the bus
    answer: int = 8  # from the last word of a STORE to its answer
    stop: int = 8  # from the last burst after an abort or an error to idle


PACE = Pace()
_BURST = 16  # words


class Expired(Exception):
    """Nothing was finished for as long as the watchdog allows."""

    def __init__(self, cycle: int) -> None:
        super().__init__(cycle)
        self.cycle = cycle


class Transfer(NamedTuple):
    """A LOAD or a STORE on the bus: a word a cycle from `first` on, all of it over at `end`."""

    start: int
    first: int
    words: int
    end: int

    def begun(self, cycle: int) -> int:
        """Words of the bursts that are begun in this cycle, and therefore completed."""
        if cycle < self.start:
            return 0
        return min(self.words, (max(0, cycle - self.first) // _BURST + 1) * _BURST)

    def burst_after(self, cycle: int) -> int:
        """When the first burst is over that is not by `cycle`."""
        number = max(1, (cycle - self.first) // _BURST + 1)
        return self.end if number * _BURST >= self.words else self.first + number * _BURST


class Timeline:
    """The moments of one run, in cycles from its start.

    Parameters
    ----------
    geometry : dict
        Of the overlay.
    limit : int
        Cycles of the watchdog.

    Attributes
    ----------
    cycle : int
        Where the sequencer is.
    busy, wait_load, wait_store, wait_drain : int
        The circuit's counters.
    """

    def __init__(self, geometry: Any, limit: int) -> None:
        self._clusters = geometry["pe"] // 4
        self._vectors = geometry["vectors"]
        self._limit = limit
        self.cycle = PACE.start
        self.busy = self.wait_load = self.wait_store = self.wait_drain = 0
        self._loads: list[Transfer] = []  # of which some may not be over
        self._store: Transfer | None = None
        self._drained = 0  # the drain can take another row group
        self._written = 0  # all results are in the banks
        self._progress = 0

    def skip(self) -> None:
        self._finish(self.cycle + PACE.skip)

    def fetch(self, words: int, flags: Flags) -> None:
        """An instruction comes, and waits for what it says."""
        self.cycle += PACE.decode + PACE.word * words
        if flags.wait_load:
            self._wait_load(self._loads[-1].end if self._loads else 0)
        if flags.wait_store:
            self._wait_store()
        if flags.wait_drain:
            self._wait_drain(self._written)

    def load(self, words: int) -> Transfer:
        if len(self._loads) > 1:  # one on the bus and one in the queue
            self._wait_load(self._loads[-2].end)
        start = max(self.cycle, self._loads[-1].end if self._loads else 0)
        first = start + PACE.read
        found = Transfer(start, first, words, first + words)
        self._loads = [*self._loads[-1:], found]
        self._finish(self.cycle)
        return found

    def store(self, words: int) -> Transfer:
        self._wait_store()
        start = max(self.cycle, self._written)
        first = start + PACE.write
        self._store = found = Transfer(start, first, words, first + words + PACE.answer)
        self._finish(self.cycle)
        return found

    def layer(self, layer: Layer) -> int:
        """When all of its results are in the banks."""
        words = layer.taps * layer.passes
        drain = self._drain(layer)
        begun = self.cycle + PACE.feed
        if layer.safe < 255 and layer.safe < words * layer.rows:
            held = max(0, self._written - begun - layer.safe)
            self.wait_drain += held
            begun += held
        if begun + words < self._drained:
            self.wait_drain += self._drained - begun - words
        first = max(begun + words, self._drained)
        period = max(words, drain)
        last = first + (layer.rows - 1) * period
        self.wait_drain += (layer.rows - 1) * (period - words)
        self.busy += words * layer.rows
        if words >= drain:
            stolen = self._stolen(begun, last)
            last += stolen
            self.wait_store += stolen
        self._drained = last + drain
        self._written = last + self._latency(layer) + drain
        self._finish(last)
        return self._written

    def finish(self) -> None:
        """Wait for all that is still under way."""
        if self._loads:
            self._wait_load(self._loads[-1].end)
        self._wait_store()
        self._wait_drain(self._written)
        self._finish(self.cycle)

    # -- parts --------------------------------------------------------------------------------------------

    @staticmethod
    def _drain(layer: Layer) -> int:
        """Cycles from one row group to the next that the drain needs."""
        if layer.pool:
            return layer.out_bits
        steps = PACE.step * layer.thresholds
        return max(steps, 4 * layer.thresholds if layer.raw else layer.out_bits)

    def _latency(self, layer: Layer) -> int:
        return PACE.pool if layer.pool else PACE.drain + self._clusters

    def _stolen(self, begun: int, end: int) -> int:
        """Words that a STORE reads while the array is fed: a cycle each, which makes it longer."""
        store = self._store
        if store is None:
            return 0
        reads = range(store.start, store.first + store.words, self._vectors)
        reads = reads[: store.words // self._vectors]
        stolen = 0
        while True:
            found = _count(reads, begun, end + stolen)
            if found == stolen:
                return stolen
            stolen = found

    def _wait_load(self, until: int) -> None:
        self.wait_load += max(0, until - self.cycle)
        self.cycle = max(self.cycle, until)

    def _wait_store(self) -> None:
        until = self._store.end if self._store else 0
        self.wait_store += max(0, until - self.cycle)
        self.cycle = max(self.cycle, until)

    def _wait_drain(self, until: int) -> None:
        self.wait_drain += max(0, until - self.cycle)
        self.cycle = max(self.cycle, until)

    def _finish(self, cycle: int) -> None:
        """An instruction is over; Expired where nothing was for too long before."""
        self.cycle = cycle
        while cycle - self._progress > self._limit:
            due = self._progress + self._limit
            ends = [each.burst_after(self._progress) for each in (*self._loads, *([self._store] if self._store else []))
                    if each.end > self._progress]
            soonest = min(ends, default=due + 1)
            if soonest > due:
                raise Expired(due)
            self._progress = soonest
        self._progress = cycle


def _count(reads: range, low: int, high: int) -> int:
    """How many of `reads` are from `low` to before `high`."""
    if not reads:
        return 0
    step = reads.step

    def before(cycle: int) -> int:
        return min(len(reads), max(0, -(-(cycle - reads.start) // step)))

    return before(high) - before(low)


def quiet(transfers: Sequence[Transfer], cycle: int) -> int:
    """When the bursts that are begun by `cycle` are over."""
    over = cycle
    for each in transfers:
        words = each.begun(cycle)
        if cycle < each.end and words:
            over = max(over, each.end if words == each.words else each.first + words)
    return over + PACE.stop
