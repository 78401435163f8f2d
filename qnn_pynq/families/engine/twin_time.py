"""The cycle model of the engine: when sequencer, array, loader and storer do what, and wait for what.

It follows the circuit's registers for what happens between instructions and between row groups. Memory is modelled as
undisturbed: each burst is taken at once and answered `PACE.memory` cycles later.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple, Sequence

from .twin_decode import End, Instruction, Layer

__all__ = ["PACE", "Expired", "Timeline", "Transfer", "quiet"]


class Pace(NamedTuple):
    """Cycles of the pipeline, each between the two events that it names."""

    start: int = 1  # start is seen; the first word of the program is asked for
    fetched: int = 3  # a word of the program is asked for; it can be taken
    dropped: int = 2  # words behind an END that are asked for before it is seen
    ahead: int = 7  # words that are read ahead
    check: int = 1  # the last word of an instruction is taken; it is checked
    end_ready: int = 1  # an END is checked; it can be executed
    layer_ready: int = 1  # a LAYER or POOL
    access_checked: int = 4  # a LOAD or STORE is checked; its place in memory is checked, too
    access_ready: int = 5
    feed: int = 5  # a layer is executed; its first word is fed
    least: int = 3  # from row group to row group, at least
    free: int = 1  # the last word of a layer is fed; the next instruction can be executed
    drained: int = 12  # the last word of a row group is fed; its results are in the banks, beside steps and clusters
    raw_drained: int = 20
    raw_period: int = 16  # from nibble to nibble of a raw sum
    pool_drained: int = 5
    clear: int = 1  # results are in the banks; words that wait for them are fed
    load: int = 3  # a LOAD is executed; its first burst is asked for
    room: int = 1  # a LOAD is over; another can take its place in the queue
    memory: int = 24  # from the address of a burst to its first word, from its last word to its answer
    first_word: int = 5  # the first burst of a LOAD is asked for; its first word is handed out, beside `memory`
    store: int = 2  # a STORE is executed; the banks are asked for its first word
    caught: int = 6  # the banks are asked; their words are caught
    sent: int = 5  # the last word of a STORE is caught; it is over, beside the words of its last burst and `memory`
    ended: int = 1  # all is over; the circuit says so
    stop: int = 2  # the last burst after an abort or an error is over; the circuit says so


PACE = Pace()
_BURST = 16  # words


class Expired(Exception):
    """Nothing was finished for as long as the watchdog allows."""

    def __init__(self, cycle: int) -> None:
        super().__init__(cycle)
        self.cycle = cycle


class Transfer(NamedTuple):
    """A LOAD or a STORE on the bus: asked for from `start`, words come from `first` on, `come` in `every` cycles."""

    start: int
    first: int
    words: int
    end: int
    come: int = 1
    every: int = 1

    def moved(self, cycles: int) -> Transfer:
        return self._replace(start=self.start + cycles, first=self.first + cycles, end=self.end + cycles)

    def slower(self, writes: _Writes) -> Transfer:
        """A word is handed to the banks later for each result that is written meanwhile."""
        end = self.end
        while True:
            found = self.end + writes.between(self.first, end)
            if found == end:
                return self._replace(end=end)
            end = found

    @property
    def answered(self) -> int:
        """When memory has answered for the first time."""
        return self.first if self.come == 1 else min(self.end, self.moment(_BURST) + PACE.memory)

    def begun(self, cycle: int) -> int:
        """Words of the bursts that are begun in this cycle, and therefore completed."""
        if cycle < self.start:
            return 0
        words = max(0, cycle - self.first) * self.come // self.every
        return min(self.words, (words // _BURST + 1) * _BURST)

    def moment(self, words: int) -> int:
        """When so many words are over."""
        return self.end if words >= self.words else self.first + words * self.every // self.come

    def burst_after(self, cycle: int) -> int:
        """When the first burst is over that is not by `cycle`."""
        words = max(0, cycle - self.first) * self.come // self.every
        return self.moment((words // _BURST + 1) * _BURST)


class _Writes(NamedTuple):
    """Writes of results: `planes` in a row, `parts` times a row group; `at`: the first write of the last row group."""

    at: int
    planes: int
    parts: int
    rows: int
    period: int

    def between(self, low: int, high: int) -> int:
        found = 0
        for part in range(self.parts):
            for plane in range(self.planes):
                at = self.at + PACE.raw_period * part + plane
                found += self._before(high, at) - self._before(low, at)
        return found

    def _before(self, cycle: int, last: int) -> int:
        """Row groups that are written before a cycle."""
        return self.rows - min(self.rows, max(0, (last - cycle) // self.period + 1))


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
    taken : int
        When the first word of the latest instruction was taken.
    free : int
        When the latest layer has been fed, and another can be.
    busy, wait_load, wait_store, wait_drain : int
        The circuit's counters.
    """

    def __init__(self, geometry: Any, limit: int) -> None:
        self._clusters = geometry["pe"] // 4
        self._vectors = geometry["vectors"]
        self._limit = limit
        self.cycle = self.taken = 0
        self.busy = self.wait_load = self.wait_store = self.wait_drain = 0
        self._asked = PACE.start - 1  # the latest word of the program
        self._takes: deque[int] = deque(maxlen=PACE.ahead)
        self._loads: list[Transfer] = []  # the last two, and which of them are for the banks
        self._in_banks: list[bool] = []
        self._writes: deque[_Writes] = deque(maxlen=2)  # of the last layers
        self._store: Transfer | None = None
        self.free = 0
        self._next_end = 0  # of a row group, for the drain's sake
        self._written = 0  # all results are in the banks
        self._progress = 0

    # -- instructions -------------------------------------------------------------------------------------

    def fetch(self, words: int, last: bool = False) -> None:
        """The words of an instruction come, and are checked; `last`: the program starts again behind it."""
        take = self.cycle
        for number in range(words):
            oldest = self._takes[0] + 1 if len(self._takes) == PACE.ahead else 0
            self._asked = max(self._asked + 1, oldest)
            take = max(take + 1, self._asked + PACE.fetched)
            if not number:
                self.taken = take
            self._takes.append(take)
        if last:  # words behind it that were asked for are dropped
            self._asked += PACE.dropped
        self.cycle = take + PACE.check

    def skip(self, instruction: Instruction) -> None:
        """It is not for this group."""
        self.cycle += PACE.layer_ready if isinstance(instruction, Layer) else PACE.access_checked

    def check_access(self) -> None:
        """The place in memory is checked."""
        self.cycle += PACE.access_checked

    def ready(self, instruction: Instruction) -> None:
        """It can be executed, but for what it waits for."""
        if isinstance(instruction, End):
            self.cycle += PACE.end_ready
        elif isinstance(instruction, Layer):
            self.cycle += PACE.layer_ready
        else:
            self.cycle += PACE.access_ready - PACE.access_checked
        flags = instruction.flags
        self.cycle = until = max(self.cycle, self.free)
        if flags.wait_load and self._loads:
            until = max(until, self._held_by_load(self._loads[-1].end))
        if flags.wait_store:
            until = max(until, self._held_by_store())
        if flags.wait_drain or isinstance(instruction, Layer) and instruction.pool:
            self.wait_drain += max(0, self._written - self.cycle)
            until = max(until, self._written)
        self.cycle = until

    def load(self, words: int, banks: bool) -> Transfer:
        """`banks`: into them, which waits where results are written."""
        if len(self._loads) > 1:  # one on the bus and one in the queue
            self.cycle = max(self.cycle, self._held_by_load(self._loads[-2].end + PACE.room))
        start = max(self.cycle + PACE.load, self._loads[-1].end + PACE.room if self._loads else 0)
        first = start + PACE.memory + PACE.first_word
        found = Transfer(start, first, words, first + words)
        if banks:
            for writes in self._writes:
                found = found.slower(writes)
        self._loads = [*self._loads[-1:], found]
        self._in_banks = [*self._in_banks[-1:], banks]
        self.done()
        return found

    def store(self, words: int) -> Transfer:
        """Of all banks."""
        self.cycle = max(self.cycle, self._held_by_store())
        start = max(self.cycle + PACE.store, self._written + PACE.clear)
        period = self._store_period
        caught = start + (words // self._vectors - 1) * period + PACE.caught + self._vectors
        burst = (words - 1) % _BURST + 1
        self.wait_store += words // self._vectors
        end = caught + burst + PACE.sent + PACE.memory
        self._store = found = Transfer(start, start + PACE.caught, words, end, self._vectors, period)
        self.done()
        return found

    def layer(self, layer: Layer) -> int:
        """When all of its results are in the banks."""
        words, rows = layer.taps * layer.passes, layer.rows
        period = max(words, self._period(layer), PACE.least)
        begun = self.cycle + PACE.feed
        self.done()
        first = max(begun + words - 1, self._next_end)
        last = first + (rows - 1) * period
        row, place = divmod(layer.safe, words)
        if layer.safe < 255 and row < rows:  # the first word that waits, and its row group
            before = begun - 1 if not row else first + (row - 1) * period
            held = max(0, self._written + PACE.clear - (before + 1 + place))
            least = self._next_end if not row else before + period
            last = max(before + words + held, least) + (rows - 1 - row) * period
        self.wait_drain += last - (begun - 1) - words * rows
        self.busy += words * rows
        if words == period:
            last += self._stolen(begun, last)
        self._next_end = last + self._final_period(layer)
        self.free = last + PACE.free + (layer.out_bits if layer.pool else 0)
        self._written = max(self._written, last + self._latency(layer))
        writes = self._writes_of(layer, last, period)
        self._writes.append(writes)
        self._slow_down(writes)
        return self._written

    def done(self) -> None:
        """An instruction is executed; Expired where nothing was for too long before."""
        cycle = self.cycle
        while cycle - self._progress > self._limit:
            due = self._progress + self._limit + 1
            ends = [each.burst_after(self._progress) for each in (*self._loads, *([self._store] if self._store else []))
                    if each.end > self._progress]
            soonest = min(ends, default=due)
            if soonest >= due:
                raise Expired(due)
            self._progress = soonest
        self._progress = max(cycle, self._progress)

    def finish(self) -> None:
        """Wait for all that is still under way."""
        ends = [self.free, self._written, *(load.end for load in self._loads[-1:])]
        if self._store:
            ends.append(self._store.end)
        self.cycle = max(self.cycle + PACE.ended, *ends)
        self.done()

    # -- parts --------------------------------------------------------------------------------------------

    def _period(self, layer: Layer) -> int:
        """Cycles from one row group to the next that the drain needs."""
        if layer.pool:
            return 1
        if layer.raw:
            return PACE.raw_period * layer.thresholds
        return max(4 * layer.thresholds, self._clusters + layer.out_bits, 8)

    def _final_period(self, layer: Layer) -> int:
        """The same, to the first row group of the next layer: whatever its steps are, the planes go out before."""
        if layer.pool or layer.raw:
            return self._period(layer)
        return max(4 * layer.thresholds + max(0, self._clusters + layer.out_bits - 4), 8)

    def _latency(self, layer: Layer) -> int:
        """Cycles from the last word of a row group until its results are in the banks."""
        if layer.pool:
            return PACE.pool_drained + layer.out_bits
        if layer.raw:
            return PACE.raw_drained + self._clusters + PACE.raw_period * (layer.thresholds - 1)
        return PACE.drained + self._clusters + 4 * layer.thresholds + layer.out_bits

    @property
    def _store_period(self) -> int:
        """Cycles from one read of the banks to the next."""
        return max(PACE.caught, self._vectors + 2)

    def _slow_down(self, writes: _Writes) -> None:
        """Loads that are under way, and the one behind them."""
        found: list[Transfer] = []
        for load, banks in zip(self._loads, self._in_banks):
            if found and load.start <= found[0].end:
                load = load.moved(found[0].end + PACE.room - load.start)
            found.append(load.slower(writes) if banks else load)
        self._loads = found

    def _writes_of(self, layer: Layer, last: int, period: int) -> _Writes:
        """When its results are written; `last`: the last word of the last row group is fed."""
        parts, planes = (layer.thresholds, 4) if layer.raw else (1, layer.out_bits)
        end = last + self._latency(layer)
        at = end - PACE.raw_period * (parts - 1) - planes + (not layer.pool)  # a register more than pools have
        return _Writes(at, planes, parts, layer.rows, period)

    def _reads(self, cycle: int) -> int:
        """Words that the present STORE has read from the banks before a cycle."""
        store = self._store
        if store is None:
            return 0
        reads = store.words // self._vectors
        return min(reads, max(0, -(-(cycle - store.start - 1) // self._store_period)))

    def _stolen(self, begun: int, end: int) -> int:
        """Reads of a STORE while the array is fed: a cycle each, which makes it longer."""
        stolen = 0
        while True:
            found = self._reads(end + stolen + 1) - self._reads(begun)
            if found == stolen:
                return stolen
            stolen = found

    def _held_by_load(self, until: int) -> int:
        self.wait_load += max(0, until - self.cycle)
        return until

    def _held_by_store(self) -> int:
        until = self._store.end if self._store else 0
        if until > self.cycle:  # the reads are counted already
            self.wait_store += until - self.cycle - (self._reads(until) - self._reads(self.cycle))
        return until


def quiet(transfers: Sequence[Transfer], cycle: int) -> int:
    """When the bursts that are begun by `cycle` are over."""
    over = cycle
    for each in transfers:
        words = each.begun(cycle)
        if cycle < each.end and words:
            over = max(over, each.moment(words))
    return over + PACE.stop
