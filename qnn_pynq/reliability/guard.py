"""Runs under a policy: what a `Policy` says about anomalies, around the runs of an engine."""

from __future__ import annotations

import logging
from typing import Any, Callable, TypeVar

import numpy as np

from ..contracts.board import Board
from ..contracts.driver import Limits
from ..contracts.network import Network
from ..engines import BoardEngine, Engine, EngineResult, Prepared, SoftwareEngine
from ..engines.base import Inputs
from ..errors import (
    AlarmDeadlineError,
    AlarmError,
    AnomalyError,
    BoardError,
    BoardTakenError,
    ClosedError,
    DeadlineError,
    NotReadyError,
    WrongAnswerError,
)
from .answers import Answers, differences
from .canary import Canary
from .policy import Policy
from .report import Event, Recovery

__all__ = ["Guard"]

_log = logging.getLogger(__name__)
_FEW = 1 << 16, 16  # bytes of pictures, and pictures: known inputs after each recovery
_MOST_PATIENCE = 64

Work = TypeVar("Work")


class Guard:
    """One engine, and what is done when a run of it goes wrong.

    Parameters
    ----------
    engine : Engine
        In software nothing goes wrong, and nothing is guarded.
    policy : Policy
    recovery : Recovery
        Gets counters and events.

    Attributes
    ----------
    engine : Engine
        The one that answers: after an alarm perhaps the software engine.
    given_up : Event or None
        The alarm since which the processor answers.

    Notes
    -----
    The published circuits cannot abort a run. What is in flight when a run is given up goes on until the logic is
    configured again; its buffers live until then. An interrupt, or an error that is no anomaly, leaves what it broke
    off to the next call, which recovers first.
    """

    def __init__(self, engine: Engine, policy: Policy, recovery: Recovery) -> None:
        self._own = engine  # as it was handed in
        self.engine = engine
        self.policy = policy
        self.recovery = recovery
        self.given_up: Event | None = None
        self.network: Network | None = None
        self.limits = Limits(factor=float(policy.timeout_factor))
        self._watched = isinstance(engine, BoardEngine) and policy.name != "none"
        self._patience = 1
        self._row = 0  # anomalies since the last good run
        self._row_ended = 0  # results that were handed out then
        self._since = 0  # results since the last canary or reload
        self._good = 0  # number of the first result behind the last good canary
        self._checked = 0.0
        self._canary: Canary | None = None
        self._reference: Engine | None = None
        self._order = np.random.RandomState(0)  # of second runs
        self._cancelled = self._recovering = self._loading = False
        self._told: list[Event] = []
        self.one: Callable[..., int] = engine.one
        """Output word of one picture; see `Engine.one`."""

    # -- a network ---------------------------------------------------------------------------------------

    def load(self, network: Network) -> None:
        """Take a network; after an alarm too.

        Raises
        ------
        UnsupportedNetworkError
            The former network stays.
        """
        own = self._own
        own.check_open()
        self._not_in_callback()  # the rest of a call must not be another network's
        own.check(network)
        if own.state == "running":
            own.abandon()
        former = self.network
        try:
            self._drop_software()
            self.network, self.one = network, own.one
            self._patience, self._row, self._good = 1, 0, self.recovery.results
            self._limit()
            if not self._watched:
                own.load(network)
                return
            self._load(network)
        except BaseException:
            if not self._watched and own.network is former:
                self.network = former  # as it was: nothing of the other one was taken
            else:
                self.network = None
                own.abandon(reset=False)
            raise

    def _load(self, network: Network) -> None:
        self._loading = True
        try:
            try:
                self._own.load(network)
            except AnomalyError as error:
                self._recover_from(error, 0)
            if self.policy.name == "strict" and self.policy.agree == "cpu":
                self._reference = _software(network)
        finally:
            self._loading = False
            self._tell()
        self._fresh()
        self._row = 0
        self.one = self._one if self._plain else self._one_checked

    def ready(self) -> Network:
        """The network; ClosedError or NotReadyError unless a run may begin."""
        if self._watched and self.network is not None and self.engine.state == "failed":
            self.run_again(lambda: None)
        return self.engine.ready()

    def close(self) -> None:
        """Give everything up; idempotent."""
        self.network = None
        self._drop_software()
        self._own.close()

    def cancel(self) -> None:
        """From another thread: let a wait on hardware end soon, with ClosedError; `close` follows."""
        self._cancelled = True
        self._own.cancel()

    # -- runs --------------------------------------------------------------------------------------------

    def run(self, pictures: Inputs, timeout: float | None = None, sums: bool = False) -> EngineResult:
        """A batch, as `Engine.run`, with results that the policy lets out."""
        if not self._watched:
            return self.engine.run(pictures, timeout, sums)
        before, done, step = self.recovery.results, 0, self.policy.every_pictures
        parts: list[EngineResult] = []
        try:
            while True:
                count = len(pictures) - done
                if step is not None and self.given_up is None:
                    if self._since >= step:
                        self._guarded(self._reload, 0)
                    count = min(count, step - self._since)
                part = pictures[done : done + count]
                parts.append(self._guarded(lambda: self._checked_run(part, timeout, sums), count))  # noqa: B023
                done += count
                self.recovery.results += count
                self._since += count
                if done >= len(pictures):
                    return _joined(parts)
        except BaseException:
            self.take_back(before)
            raise

    def run_again(self, work: Callable[[], Work]) -> Work:
        """What `work` on `engine` gives, whatever anomalies it meets; it hands out no results."""
        return self._guarded(work, 0) if self._watched else work()

    def take_back(self, results: int) -> None:
        """Count so many results: what came behind them is not handed out."""
        self.recovery.results = results
        self._good = min(self._good, results)

    def limit(self, limits: Limits) -> None:
        """Take other `Limits`: those of a `Calibration`."""
        self.limits = limits
        self._limit()

    def _one(self, picture: np.ndarray, timeout: float | None = None) -> int:
        """The short way of live data, where a run is one run of the engine."""
        try:
            word = self._own.one(picture, timeout)
        except (AnomalyError, NotReadyError) as error:
            word = self._recovered(error, lambda: self.engine.one(picture, self._patient(timeout)), 1)
        self.recovery.results += 1
        return word

    def _one_checked(self, picture: np.ndarray, timeout: float | None = None) -> int:
        return int(self.run(picture.reshape(1, -1), timeout).values[0])

    @property
    def _plain(self) -> bool:
        """Whether a run is one run of the engine."""
        return self.policy.name == "retry" and self.given_up is None

    def _patient(self, timeout: float | None) -> float | None:
        return None if timeout is None else timeout * self._patience

    def _run(self, pictures: Inputs, timeout: float | None, sums: bool = False) -> EngineResult:
        return self.engine.run(pictures, self._patient(timeout), sums and self.engine.gives_sums)

    def _checked_run(self, pictures: Inputs, timeout: float | None, sums: bool) -> EngineResult:
        """A run of what is handed out together, and what the policy asks before that."""
        name = self.policy.name
        if self.given_up is not None or name in ("retry", "reload"):
            return self._run(pictures, timeout, sums)
        if name == "strict":
            return self._agreed(pictures, timeout, sums)
        result = self._run(pictures, timeout, sums)
        step, seconds = self.policy.every_pictures, self.policy.every_seconds
        if (step is not None and self._since + len(pictures) >= step) or (
            seconds is not None and self._now() - self._checked >= seconds
        ):
            self._known_inputs(len(pictures), timeout)
        return result

    def _known_inputs(self, waiting: int, timeout: float | None) -> None:
        """The canary, with `waiting` results behind it."""
        self._canaries().check(self.engine, self._patient(timeout))
        self.recovery.canaries += 1
        self._fresh(waiting)

    def _reload(self) -> None:
        with self._board.lock:
            self._owned()
            assert self.network is not None
            self._own.load(self.network)
        self._limit()
        self.recovery.reloads += 1
        self._since = 0

    def _agreed(self, pictures: Inputs, timeout: float | None, sums: bool) -> EngineResult:
        """A result that a second computation gave too."""
        rows = pictures.rows if isinstance(pictures, Prepared) else pictures
        if not len(rows):
            return self._run(pictures, timeout, sums)
        if self._reference is not None:
            self.engine.start(pictures, sums and self.engine.gives_sums)
            other = self._reference.run(rows)  # while the circuit runs
            result = self.engine.wait(self._patient(timeout))
        else:
            result = self._run(pictures, timeout, sums)
            other = self._second_run(rows, timeout)
        if other.end == result.end and np.array_equal(other.values, result.values):
            return result
        wrong = differences(self.engine.ready(), Answers.of(rows, other), Answers.of(rows, result))
        if wrong:
            raise WrongAnswerError(
                f"{len(wrong)} of {len(rows)} results on {self.engine.name} are not what "
                f"{'software' if self._reference else 'a second run'} gives, the first: {wrong[0]['got']} instead of "
                f"{wrong[0]['expected']}")
        return result

    def _second_run(self, rows: np.ndarray, timeout: float | None) -> EngineResult:
        """The same pictures again with new weights, in another order and other buffers, behind two known inputs.

        What depends on order or place, such as results that are shifted, gives other answers then; where few pictures
        might hide that, the known ones show it, whose answers differ from one another.
        """
        assert isinstance(self._own, BoardEngine)
        order = self._order.permutation(len(rows))
        known = self._canaries().pair()
        front = len(known.pictures)
        with self._own.elsewhere():
            self._reload()
            found = self._run(np.ascontiguousarray(np.concatenate([known.pictures, rows[order]])), timeout)
        wrong = differences(self.engine.ready(), known,
                            Answers.of(known.pictures, found._replace(values=found.values[:front])))
        if wrong:
            raise WrongAnswerError(f"{len(wrong)} of {front} known inputs of a second run wrong on {self.engine.name}, "
                                   f"the first: {wrong[0]['got']} instead of {wrong[0]['expected']}")
        values = np.empty_like(found.values[front:])
        values[order] = found.values[front:]
        return found._replace(values=values)

    # -- anomalies ---------------------------------------------------------------------------------------

    def _guarded(self, work: Callable[[], Work], count: int) -> Work:
        """What `work` gives for `count` pictures, whatever anomalies are met on the way."""
        try:
            return work()
        except (AnomalyError, NotReadyError) as error:
            return self._recovered(error, work, count)

    def _recovered(self, error: BoardError, work: Callable[[], Work], count: int) -> Work:
        """Recover and work again, as often as the policy allows."""
        self._own.check_open()
        self._not_in_callback()
        if self.network is None:  # an alarm, or a load that failed: whoever calls must load a network
            raise error
        if self._row_ended != self.recovery.results:
            self._row = 0
        left = self.policy.attempts + (not isinstance(error, AnomalyError))
        self._recovering = True
        try:
            while True:
                left -= 1
                self._recover_from(error, count)
                if left <= 0 and self.given_up is None:
                    raise error
                try:
                    answer = work()
                except (AnomalyError, NotReadyError) as another:
                    error = another
                    continue
                self._row = 0
                return answer
        finally:
            self._row_ended = self.recovery.results
            self._recovering = False
            self._tell()

    def _not_in_callback(self) -> None:
        if self._recovering:
            raise BoardError("the board is being recovered: the callback of an anomaly must not use the classifier")

    def _recover_from(self, error: BoardError, count: int) -> None:
        """Bring the board back, or raise the alarm; anomalies of recovering count too."""
        if self.policy.name == "canary":  # weights go that no known inputs will look at any more
            self.recovery.leave_unverified(self._good, self.recovery.results - 1)
            self._good = self.recovery.results
        while True:
            kind = "left over"
            if isinstance(error, AnomalyError):
                kind = error.kind
                self._row += 1
                _log.warning("%s (%d in a row): %s", kind, self._row, error)
            if self._row >= self.policy.alarm_after and kind != "left over":
                self._note(kind, "none", 0.0, count)
                self._alarm(error, count)
                return
            begun, action, again = self._now(), "none", None
            try:
                action = self._recover(error)
            except AnomalyError as another:
                again = another
            finally:
                self._note(kind, action, self._now() - begun if action != "none" else 0.0, count, begun)
            if again is None:
                return
            error = again

    def _recover(self, error: BoardError) -> str:
        """Weights, or logic and weights, then known inputs; what was done."""
        # Wrong answers of a circuit that runs: new weights are enough the first time.
        reset = not isinstance(error, WrongAnswerError) or self._row > 1
        own, network = self._own, self.network
        assert network is not None
        with self._board.lock:
            if self._cancelled:
                raise ClosedError("this classifier is closed: make another")
            if not self._loading:  # which may take the board
                self._owned()
            _log.info("%s: %s", own.name, "the logic is configured again; a run that is in flight ends with it"
                      if reset else "the weights are written again")
            own.abandon(reset)
            own.load(network)
        self._limit()
        known = self._canaries()
        known.check(own, most=max(1, min(_FEW[1], _FEW[0] // known.answers.pictures.shape[1])))
        self._fresh()
        return "reconfigured" if reset else "reloaded"

    def _owned(self) -> None:
        if not self._own.owned():
            raise BoardTakenError(f"{self._own.name} was taken by another classifier: load the network again")

    def _alarm(self, error: BoardError, count: int) -> None:
        """Do what the policy says: return where the work goes on."""
        policy = self.policy
        if policy.on_alarm == "adapt" and isinstance(error, DeadlineError) and self._patience < _MOST_PATIENCE:
            self._patience *= 4
            self._note("alarm", "adapted", 0.0, count)
            _log.error("alarm on %s: waits may last %d times as long from now on", self._own.name, self._patience)
            self._row = 0
            self._recover_from(NotReadyError("a run that took too long is in flight"), count)
            return
        if policy.on_alarm == "cpu":
            assert self.network is not None
            self._own.abandon()
            self.one = self._one_checked
            software = _software(self.network)
            event = self._note("alarm", "software", 0.0, count)
            self.given_up, self.engine = event, software  # both or none
            _log.error("alarm on %s: the processor answers from now on", self._own.name)
            return
        self._note("alarm", "alarm", 0.0, count)
        _log.error("alarm on %s after %d anomalies in a row", self._own.name, self._row)
        self._own.abandon()
        self.network = None
        raise (AlarmDeadlineError if isinstance(error, DeadlineError) else AlarmError)(
            f"{self._row} anomalies in a row on {self._own.name}, the last: {error}; load a network to try again"
        ) from error

    # -- inside ------------------------------------------------------------------------------------------

    @property
    def _board(self) -> Board:
        board: Any = self._own
        found: Board = board.board
        return found

    def _fresh(self, waiting: int = 0) -> None:
        """Count from here: `waiting` results are checked, but not handed out yet."""
        self._since, self._good = -waiting, self.recovery.results + waiting
        self._checked = self._now()

    def _now(self) -> float:
        return float(self._board.clock.now())

    def _limit(self) -> None:
        limits, patience = self.limits, self._patience
        sentinels = limits.sentinels or self.policy.name in ("canary", "reload")
        self._own.limit(limits._replace(
            margin=limits.margin * patience, factor=limits.factor * patience, sentinels=sentinels))

    def _canaries(self) -> Canary:
        if self._canary is None or self._canary.network is not self.network:
            assert self.network is not None
            self._canary = Canary(self.network)
        return self._canary

    def _drop_software(self) -> None:
        engines = [self._reference] if self.given_up is None else [self._reference, self.engine]
        self._reference, self.given_up, self.engine = None, None, self._own
        for engine in engines:
            if engine is not None:
                engine.close()

    def _note(self, kind: str, action: str, seconds: float, count: int, noticed: float | None = None) -> Event:
        first = self.recovery.results
        event = Event(self._now() if noticed is None else noticed, kind, action, seconds, first, first + count - 1)
        self.recovery.add(event)
        self._told.append(event)
        return event

    def _tell(self) -> None:
        told, self._told = self._told, []
        if self.policy.on_anomaly is None:
            return
        self._recovering = True  # the callback must not come in here again
        try:
            for event in told:
                try:
                    self.policy.on_anomaly(event)
                except Exception:
                    _log.exception("the callback of an anomaly failed")
        finally:
            self._recovering = False


def _software(network: Network) -> Engine:
    engine = SoftwareEngine()
    engine.load(network)
    return engine


def _joined(parts: list[EngineResult]) -> EngineResult:
    """The result of parts that were run one after the other."""
    if len(parts) == 1:
        return parts[0]
    stages: dict[str, float] = {}
    for part in parts:
        for name, seconds in part.stages.items():
            stages[name] = stages.get(name, 0.0) + seconds
    sums = None
    if all(part.sums is not None for part in parts):
        sums = np.concatenate([part.sums for part in parts])
    values = np.concatenate([part.values for part in parts])
    return EngineResult(parts[0].kind, values, stages, sums, parts[0].end)
