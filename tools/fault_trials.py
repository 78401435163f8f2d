"""One trial of the fault campaign: a classifier on a board that goes wrong, and a user who writes everything down.

The user asks for answers to known pictures, in batches or as a stream, and after an error goes on with the next
pictures. For every picture there must be one result or one error, in order.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple, Sequence

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import lfc  # noqa: E402
import small  # noqa: E402
import small_conv  # noqa: E402

from qnn_pynq import Classifier  # noqa: E402
from qnn_pynq.boards.emulated import EmulatedBoard  # noqa: E402
from qnn_pynq.catalogue import find_network, find_overlay  # noqa: E402
from qnn_pynq.errors import QnnError  # noqa: E402
from qnn_pynq.faults import KINDS, Fault, FaultPlan  # noqa: E402
from qnn_pynq.networks import Network  # noqa: E402
from qnn_pynq.reliability.answers import known_answers  # noqa: E402
from qnn_pynq.reliability.policy import Policy  # noqa: E402

__all__ = ["CASES", "MODES", "POLICIES", "SILENT", "Case", "Stuck", "Trial", "Watchdog", "clean_reaches", "inputs",
           "make_case", "make_plan", "run_trial"]

MODES = ("batch", "stream")
EVERY = 16  # images between canaries, or between reloads
INPUTS = 48  # of a trial
POLICIES = {
    "none": Policy("none"), "retry": Policy("retry"), "canary": Policy("canary", every_pictures=EVERY),
    "reload": Policy("reload", every_pictures=EVERY), "strict": Policy("strict"),
    "strict, again": Policy("strict", agree="again"),
}
CASES = ("lfc-w1a1-mnist", "lfc-w1a2-mnist", "dorefa-w1a2-cifar10", "tiny dense", "small convolutional")
SILENT = ("early done", "done without data", "corrupt word", "flip weight")
_WALL = 120.0  # seconds of the machine for a trial that needs a tenth of one
_VIRTUAL = 1000.0  # seconds of the board's clock for one call
_LOADS = 200


class Stuck(BaseException):
    """The watchdog's."""


class Watchdog:
    """Raises Stuck in the main thread after so many seconds of the machine."""

    def __init__(self, seconds: float = _WALL) -> None:
        self._seconds = seconds

    @staticmethod
    def _bark(*_: Any) -> None:
        raise Stuck

    def __enter__(self) -> None:
        self._former = signal.signal(signal.SIGALRM, self._bark)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(self, *_: Any) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._former)


class Case(NamedTuple):
    """A network with known answers: scores and classes of `rows`, by the software engine."""

    name: str
    family: str
    network: Network
    overlay: Any
    rows: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


def inputs(network: Network, count: int, seed: int) -> np.ndarray:
    """Pictures uint8 (count, pixels) that are none of the network's canaries: blends of two of them, mirrored."""
    rng = np.random.RandomState(seed)
    known = known_answers(network)
    if known is None:
        return rng.randint(0, 256, (count, network.input.pixels)).astype(np.uint8)
    height, width = network.input.size
    drawn = known.pictures.reshape(len(known.pictures), height, width, -1)[:, :, ::-1].astype(np.float64)
    first, second = rng.randint(0, len(drawn), (2, count))
    part = rng.uniform(0.3, 0.7, (count, 1, 1, 1))
    return (part * drawn[first] + (1 - part) * drawn[second]).astype(np.uint8).reshape(count, -1)


def published(network: Network) -> str | None:
    """The first overlay of a network that is not our engine; these trials know what such a circuit does wrong."""
    return next((name for name in network.overlays if find_overlay(name).kind != "engine"), None)


def make_case(name: str) -> Case:
    """A case by its name, out of `CASES`; neighbouring pictures have different answers where that can be."""
    overlay = None
    if name == "tiny dense":
        overlay = lfc.tiny()
        network = small.network(overlay, seed=3)
    elif name == "small convolutional":
        network = small_conv.small_network(2)
    else:
        network = find_network(name)
        overlay = published(network)
    rows = inputs(network, 16 * INPUTS, 7)
    with Classifier(network, board="cpu") as software:
        scores, classes = software.decision_function(rows), software.predict(rows)
    order: list[int] = []
    left = list(range(len(rows)))
    while len(order) < INPUTS:
        fresh = [index for index in left if not order or classes[index] != classes[order[-1]]]
        order.append((fresh or left)[0])
        left.remove(order[-1])
    family = "LFC" if name == "tiny dense" or name.startswith("lfc") else "DoReFa"
    return Case(name, family, network, overlay, rows[order], scores[order], classes[order])


def make_plan(case: Case, mode: str, dice: random.Random, storm: bool, reach: tuple[int, int]) -> FaultPlan:
    """One fault somewhere, or many at a random rate; `reach` are opportunities and allocations of a clean trial."""
    if storm:
        kinds = KINDS if dice.random() < 0.5 else dice.sample(KINDS, 3)
        return FaultPlan(dice.getrandbits(48), dice.choice((0.02, 0.1, 0.3)), kinds)
    kind = dice.choice(KINDS)
    at = dice.randrange(reach[1] if kind == "no memory" else reach[0])
    return FaultPlan(faults=[Fault(kind, at, dice.random(), dice.getrandbits(62))])


class Trial:
    """What the user wrote down.

    Attributes
    ----------
    count : Counter
        "inputs", "results", "errors" (inputs that ended in one), "calls failed", "loads", and what must not be:
        "lost", "doubled", "hangs", "leaks", "crashes", "unexplained" (wrong before anything silent injected), and
        "wrong", "wrong class", "in doubt" (wrong ones that the classifier has named afterwards).
    notes : list of str
        About what must not be.
    """

    def __init__(self, case: Case, mode: str, policy: str, plan: FaultPlan, dice: random.Random,
                 make: Callable[..., Any] = Classifier) -> None:
        self.case, self.mode, self.policy, self.plan = case, mode, policy, plan
        self.count: Counter[str] = Counter()
        self.notes: list[str] = []
        self.seconds = 0.0  # median of recoveries, by the board's clock
        self._dice, self._make = dice, make
        self._conservative = case.family == "DoReFa" and dice.random() < 0.1
        self._wrong: list[int] = []  # numbers of wrong results, among those of the classifier
        self._board: Any = None
        self._classifier: Any = None

    def run(self) -> Trial:
        """All pictures, and what is left over afterwards."""
        threads = threading.active_count()
        self._board = self._make_board()
        try:
            with Watchdog():
                self._open()
                if self._classifier is not None:
                    self._ask()
                    self._close()
        except Stuck:
            self._note("hangs", f"no end within {_WALL:g} s")
            return self
        if self._allocated():
            self._note("leaks", f"{self._allocated()} bytes of buffers after close()")
        if threading.active_count() > threads:
            self._note("leaks", f"{threading.active_count() - threads} threads")
        self._board.close()
        return self

    def _make_board(self) -> Any:
        return EmulatedBoard(faults=self.plan)

    def _allocated(self) -> int:
        """Bytes of the board's memory."""
        return int(self._board.memory.used)

    def _note(self, what: str, text: str, number: int = 1) -> None:
        self.count[what] += number
        self.notes.append(f"{what}: {text}")

    # -- calls --------------------------------------------------------------------------------------------

    def _try(self, call: Callable[[], Any]) -> tuple[bool, Any]:
        """(True, what it gave) or (False, the error, which is one of ours or an injected signal)."""
        before = self._board.clock.now()
        try:
            return True, call()
        except QnnError as error:
            return False, error
        except KeyboardInterrupt as error:
            if self.plan.counts["signal"] <= self.count["signals"]:
                self._note("crashes", "KeyboardInterrupt that nobody sent")
            self.count["signals"] += 1
            return False, error
        except Exception as error:
            self._note("crashes", f"{type(error).__name__}: {error}")
            return False, error
        finally:
            if not self._board.clock.now() - before < _VIRTUAL:
                self._note("hangs", f"{self._board.clock.now() - before:g} s of the board's clock")

    def _open(self) -> None:
        def make() -> Any:
            return self._make(self.case.network, board=self._board, overlay=self.case.overlay,
                              policy=POLICIES[self.policy], conservative=self._conservative)

        for _ in range(_LOADS):
            good, self._classifier = self._try(make)
            if good:
                return
            self.count["loads"] += 1
            if self._allocated():
                self._note("leaks", f"{self._allocated()} bytes after a Classifier that was not made: "
                                    f"{self._classifier!r}")
                break
        self._classifier = None

    def _load_again(self) -> None:
        """As a user does where the classifier says so."""
        for _ in range(_LOADS):
            if self._classifier.engine.state != "failed":
                return
            self._try(lambda: self._classifier.load(self.case.network))
            self.count["loads"] += 1
        self._note("hangs", f"{_LOADS} loads, and no network")

    def _ask(self) -> None:
        rows, done = self.case.rows, 0
        while done < len(rows):
            self._load_again()
            done = self._ask_stream(done) if self.mode == "stream" else self._ask_batch(done)

    def _ask_batch(self, done: int) -> int:
        rows = self.case.rows[done:done + self._dice.choice((1, 3, 8, 20))]
        scores = self._dice.random() < 0.5
        call = self._classifier.decision_function if scores else self._classifier.predict
        good, found = self._try(lambda: call(rows))
        self.count["inputs"] += len(rows)
        if not good:
            self._failed(len(rows))
        else:
            self._check(done, len(rows), found, scores)
        return done + len(rows)

    def _ask_stream(self, done: int) -> int:
        rows, size = self.case.rows[done:], self._dice.choice((1, 4, 8))
        found: list[np.ndarray] = []

        def take() -> None:
            for prediction in stream:
                found.append(prediction.scores)

        stream = self._classifier.stream(iter(rows), batch_size=size)
        interrupted = False
        while True:
            good, error = self._try(take)
            if good or not isinstance(error, KeyboardInterrupt) or self._dice.random() < 0.75:
                break
            interrupted = True  # and goes on with what was taken, which depends on how far the other thread was
            self._load_again()
        if not good and not isinstance(error, KeyboardInterrupt) and next(stream, None) is not None:
            self._note("doubled", f"a stream went on after {error!r}")
        taken = stream.taken
        stream.close()
        wanted = taken if interrupted else len(rows)
        if not good:
            if len(found) % size and not interrupted:
                self._note("lost", f"an error in the middle of a batch, after {len(found)} results")
            wanted = len(found)
            self._failed(min(size, len(rows) - wanted))
        answered = wanted if good else min(len(rows), wanted + size)
        self.count["inputs"] += answered
        self._check(done, wanted, np.array(found), True)
        return done + answered

    def _failed(self, inputs: int) -> None:
        self.count["errors"] += inputs
        self.count["calls failed"] += 1

    def _check(self, done: int, wanted: int, found: np.ndarray, scores: bool) -> None:
        """Compare what came for `wanted` pictures from `done` on."""
        if len(found) < wanted:
            self._note("lost", f"{len(found)} results of {wanted}", wanted - len(found))
        elif len(found) > wanted:
            self._note("doubled", f"{len(found)} results of {wanted}", len(found) - wanted)
        count = min(len(found), wanted)
        if count:
            right = (self.case.scores if scores else self.case.classes)[done:done + count]
            if scores:
                differs = ~np.isclose(found[:count], right, rtol=1e-5).all(axis=1)
                last_wins = slice(None, None, -1 if self.case.family == "LFC" else 1)
                label = found[:count, last_wins].argmax(axis=1) != right[:, last_wins].argmax(axis=1)
            else:
                differs = label = found[:count] != right
            if differs.any() and not any(self.plan.counts[kind] for kind in SILENT):
                self._note("unexplained", f"{differs.sum()} wrong results from {done} on", int(differs.sum()))
            self._wrong += (self.count["results"] + np.flatnonzero(differs)).tolist()
            self.count["wrong"] += int(differs.sum())
            self.count["wrong class"] += int((label & differs).sum())
        self.count["results"] += len(found)

    def _close(self) -> None:
        if self._dice.random() < 0.5:
            self.plan.active = False
        self._recovered()
        for _ in range(3):  # an interrupted close() is called again
            if self._try(self._classifier.close)[0]:
                break

    def _recovered(self) -> None:
        recovery = getattr(self._classifier, "recovery", None)
        if recovery is None:
            return
        self.count["recoveries"], self.count["alarms"] = recovery.recoveries, recovery.alarms
        self.seconds = recovery.median
        doubted = recovery.unverified
        self.count["in doubt"] = sum(any(a <= number <= b for a, b in doubted) for number in self._wrong)
        if self.policy != "none" and recovery.results != self.count["results"]:
            self._note("miscounted", "recovery.results {}, handed out {}".format(
                recovery.results, self.count["results"]))


def run_trial(cases: Sequence[Case], seed: int, number: int, policies: Sequence[str], reaches: Any,
              make: Callable[..., Any] = Classifier) -> Trial:
    """Trial `number` of a campaign: the same for the same seed, cases and policies."""
    dice = random.Random(f"{seed}/{number}")
    case, policy = cases[number % len(cases)], policies[number // len(cases) % len(policies)]
    mode = MODES[number // (len(cases) * len(policies)) % 2]
    storm = number // (2 * len(cases) * len(policies)) % 4 == 3
    plan = make_plan(case, mode, dice, storm, reaches[case.name, mode])
    trial = Trial(case, mode, policy, plan, dice, make)
    trial.count["storms"] = int(storm)
    return trial.run()


def clean_reaches(cases: Sequence[Case]) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
    """Opportunities and allocations of trials without a fault."""
    for case in cases:
        for mode in MODES:
            plan = FaultPlan()
            trial = Trial(case, mode, "none", plan, random.Random(0)).run()
            if trial.notes or trial.count["errors"] or trial.count["wrong"]:
                raise SystemExit(f"without a fault, {case.name} {mode}: {trial.count} {trial.notes}")
            yield (case.name, mode), (plan.opportunities, plan.allocations)
