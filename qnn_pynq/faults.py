"""Faults for the emulated hardware: what a board can do wrong, drawn from a seed, to test programs against.

A plan is asked at every opportunity: a run of the circuit, a load of weights, an allocation. With the
probability `rate` it injects one of its kinds there. The same seed, rate and kinds give the same faults at
the same opportunities, whatever the clock and the machine.

>>> from qnn_pynq import EmulatedBoard, FaultPlan
>>> board = EmulatedBoard(faults=FaultPlan(seed=1, rate=0.01))

The kinds, and what the emulated circuit does:

===================  ======================================================================================
"hang"               the run never ends; only a new configuration of the logic helps
"lost done"          the run ends and its data are there, the done bit never shows (idle does)
"early done"         done shows before the data are there; they arrive when the run really ends
"done without data"  done shows, nothing was written
"corrupt word"       some bits of one 64-bit word of the results are wrong
"flip weight"        one bit of the weights in the circuit (or of their image in shared memory) turns round
"bus error"          the logic gets a decode error: BusError at the start or at a later access
"reprogrammed"       somebody else configures the logic: registers and weights are gone
"no memory"          no contiguous memory for an allocation
"slow"               the run takes 0.1 ms to 10 s longer
"signal"             KeyboardInterrupt before or after one of the next accesses to the board
===================  ======================================================================================
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass
from typing import Iterable, NoReturn, Sequence

from .errors import BoardError, InputError

__all__ = ["KINDS", "Fault", "FaultPlan"]

KINDS = (
    "hang", "lost done", "early done", "done without data", "corrupt word", "flip weight", "bus error",
    "reprogrammed", "no memory", "slow", "signal",
)
_REMEMBERED = 2_000
_MOST_SIGNALS = 20  # in a row; the next opportunity goes without, so that trying again comes to an end
_SIGNAL_WITHIN = 24  # touch points: about two runs of a dense overlay, of which each access has two


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    at : int
        Opportunity at which it is injected, from 0: the plan counts allocations for themselves, and runs and loads
        together.
    amount : float
        0 to 1: how slow, how early, which of two variants.
    place : int
        Which word, which bit, which access; taken modulo what there is.
    """

    kind: str
    at: int
    amount: float = 0.5
    place: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError("fault {!r}: expected one of {}".format(self.kind, ", ".join(KINDS)))
        if not _whole(self.at) or self.at < 0 or not _whole(self.place) or self.place < 0:
            raise InputError(f"fault at {self.at!r}, place {self.place!r}: expected whole numbers from 0")
        if not isinstance(self.amount, (int, float)) or not 0 <= self.amount <= 1:
            raise InputError(f"fault of amount {self.amount!r}: expected 0 to 1")

    @property
    def extra_seconds(self) -> float:
        """How much longer a slow run takes: 0.1 ms to 10 s, each power of ten equally likely."""
        return float(10.0 ** (5 * self.amount - 4))


class FaultPlan:
    """When which fault is injected.

    Parameters
    ----------
    seed : int
    rate : float
        Probability of a fault at an opportunity, 0 to 1.
    kinds : sequence of str, optional
        Which kinds may be drawn; default: all. At an allocation "no memory" is the only one that fits, at runs and
        loads the others.
    faults : iterable of Fault
        Injected at their own opportunities, beside those that are drawn.

    Attributes
    ----------
    active : bool
        False: nothing is injected, and opportunities are not counted.
    counts : Counter
        Faults so far by kind.
    injected : deque of Fault
        The last of them, in order.
    opportunities, allocations : int
        How many there were.

    Notes
    -----
    A plan belongs to one board at a time; it is not thread-safe beyond the board's own lock. After 20 signals in a row
    one run or load goes without, also at a rate of 1: whoever tries until it works comes to an end.
    """

    def __init__(self, seed: int = 0, rate: float = 0.0, kinds: Sequence[str] | None = None,
                 faults: Iterable[Fault] = ()) -> None:
        if not _whole(seed):
            raise InputError(f"seed {seed!r}: expected a whole number")
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
            raise InputError(f"rate {rate!r}: expected a probability, 0 to 1")
        if isinstance(kinds, str):
            raise InputError(f"kinds {kinds!r}: expected a sequence of them, such as [{kinds!r}]")
        self.kinds = KINDS if kinds is None else tuple(kinds)
        for kind in self.kinds:
            if kind not in KINDS:
                raise InputError("kind {!r}: expected one of {}".format(kind, ", ".join(KINDS)))
        self.seed, self.rate = int(seed), float(rate)
        self.active = True
        self.counts: Counter[str] = Counter()
        self.injected: deque[Fault] = deque(maxlen=_REMEMBERED)
        self.opportunities = self.allocations = 0
        self._runs = tuple(kind for kind in self.kinds if kind != "no memory")
        self._dice = {"run": random.Random(2 * self.seed), "allocate": random.Random(2 * self.seed + 1)}
        listed = list(faults)
        self._listed = {fault.at: fault for fault in listed if fault.kind != "no memory"}
        self._denied = {fault.at: fault for fault in listed if fault.kind == "no memory"}
        self._signals = 0  # in a row
        self._signal = -1  # touch points until it comes; below 0: none

    def __repr__(self) -> str:
        return f"FaultPlan(seed={self.seed}, rate={self.rate}): {sum(self.counts.values())} injected"

    # -- what twins and boards call -------------------------------------------------------------------

    def draw(self) -> Fault | None:
        """The fault of this run or load, if there is one. A signal is armed here and comes by itself."""
        if not self.active:
            return None
        at = self.opportunities
        self.opportunities += 1
        fault = self._drawn("run", at, self._runs)
        fault = self._listed.pop(at, fault)
        if fault is None or fault.kind != "signal":
            self._signals = 0
        elif self._signals == _MOST_SIGNALS:
            self._signals, fault = 0, None
        else:
            self._signals += 1
            self._signal = fault.place % _SIGNAL_WITHIN
        if fault is not None:
            self._book(fault)
        return fault

    def check_allocation(self, nbytes: int) -> None:
        """BoardError where this allocation is to fail."""
        self.touch()
        if not self.active:
            return
        at = self.allocations
        self.allocations += 1
        fault = self._drawn("allocate", at, ("no memory",) if "no memory" in self.kinds else ())
        fault = self._denied.pop(at, fault)
        if fault is not None:
            self._book(fault)
            raise BoardError(f"contiguous memory: {nbytes} bytes asked for, none left (injected fault {at}); close "
                             "other buffers, use smaller batches, or give the board a larger memory_limit")

    def touch(self) -> None:
        """Before and after each access to the board: the place where an armed signal comes."""
        if self._signal >= 0 and self.active:
            self._signal -= 1
            if self._signal < 0:
                self.interrupt()

    def interrupt(self) -> NoReturn:
        """The signal comes now."""
        self._signal = -1
        raise KeyboardInterrupt("injected")

    # -- inside ---------------------------------------------------------------------------------------

    def _book(self, fault: Fault) -> None:
        self.counts[fault.kind] += 1
        self.injected.append(fault)

    def _drawn(self, what: str, at: int, kinds: Sequence[str]) -> Fault | None:
        """Always the same number of throws, so that what one fault needs does not shift the next."""
        dice = self._dice[what]
        chance, which, amount, place = dice.random(), dice.random(), dice.random(), dice.getrandbits(62)
        if not kinds or chance >= self.rate:
            return None
        return Fault(kinds[int(which * len(kinds))], at, amount, place)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
