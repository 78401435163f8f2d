"""The guarded engine: a board's engine, and what a `Policy` says about anomalies."""

from __future__ import annotations

import logging
from typing import Any, Callable, TypeVar

import numpy as np

from ..answers import Answers, differences
from ..canary import Canary
from ..drivers.base import Limits
from ..errors import (
    AlarmDeadlineError,
    AlarmError,
    AnomalyError,
    BoardError,
    BoardTakenError,
    ClosedError,
    DeadlineError,
    WrongAnswerError,
)
from ..network import Network
from ..policy import Policy
from ..recovery import Event, Recovery
from . import software_engine
from .base import Engine, EngineResult, NotReadyError

__all__ = ["GuardedEngine"]

_log = logging.getLogger(__name__)
_FEW = 16  # known inputs after each recovery
_MOST_PATIENCE = 64

Answer = TypeVar("Answer")


class GuardedEngine(Engine):
    """Meets anomalies of the engine in it; whatever else is asked of it, that engine answers.

    Parameters
    ----------
    inner : Engine
        A BoardEngine or SegmentedEngine.
    policy : Policy
    recovery : Recovery
        Gets counters and events.

    Notes
    -----
    The published circuits cannot abort a run. What is in flight when a run is given up goes on until the logic is
    configured again; its buffers live until then. An interrupt, or an error that is no anomaly, leaves the run to the
    next call, which recovers first.
    """

    def __init__(self, inner: Engine, policy: Policy, recovery: Recovery) -> None:
        super().__init__()
        self.inner = inner
        self.board: Any = inner.board  # type: ignore[attr-defined]
        self.policy = policy
        self.recovery = recovery
        self.software: Engine | None = None
        self.limits = Limits(factor=float(policy.deadline_factor))
        self._patience = 1
        self._row = 0  # anomalies since the last good run
        self._row_ended = 0  # results that were handed out then
        self._since = 0  # results since the last canary or reload
        self._good = 0  # number of the first result behind the last good canary
        self._checked = 0.0
        self._canary: Canary | None = None
        self._reference: Engine | None = None
        self._cancelled = self._recovering = False
        self._told: list[Event] = []
        self._quick: Callable[..., int] = self._slow_one

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "inner" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.inner, name)

    # -- the contract ------------------------------------------------------------------------------------

    @property
    def bare(self) -> Engine:
        return self.inner if self.software is None else self.software

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.bare.name

    @property
    def gives_sums(self) -> bool:  # type: ignore[override]
        return self.inner.gives_sums

    @property
    def accelerator_is_modelled(self) -> bool:  # type: ignore[override]
        return self.bare.accelerator_is_modelled

    def check(self, network: Network) -> None:
        self.inner.check(network)

    def configure(self, network: Network) -> None:
        """Take a network; after an alarm too."""
        self._open()
        self.check(network)
        if self.inner.state == "running":
            self.inner.abandon()
        self._drop_software()
        self.network, self.state = network, "failed"
        self._patience, self._row = 1, 0
        self._limit()
        try:
            try:
                self.inner.configure(network)
            except AnomalyError as error:
                self._meet(error, 0)
            if self.policy.name == "strict" and self.policy.agree == "cpu":
                self._reference = self._software(network)
        except BaseException:
            self.network = None
            raise
        finally:
            self._tell()
        self._fresh()
        self._row = 0
        self._quick = self.inner.one if self._plain else self._slow_one
        self.state = "ready"

    def mend(self) -> None:
        if self.state == "ready" and self.bare.state != "ready":
            self._rescue(NotReadyError("an earlier run was broken off"), lambda: None, 0)

    def first_stage(self) -> Callable[[np.ndarray], np.ndarray]:
        return self.bare.first_stage()

    def start(self, pictures: np.ndarray, out: np.ndarray | None = None, sums: bool = False) -> None:
        """Begin a run; with a policy that computes more than once, nothing is begun before `wait`."""
        self._ready(pictures, out)
        self._call = pictures, out, sums
        if self._plain:
            self._guard(lambda: self.inner.start(pictures, out, sums), len(pictures))
        self.state = "running"

    def wait(self, deadline: float | None = None) -> EngineResult:
        self._open()
        if self.state != "running":
            raise BoardError("no run is in flight on {}: call start() first".format(self.name))
        self.state = "ready"
        pictures, out, sums = self._call
        del self._call
        if not self._plain or self.inner.state != "running":
            return self.run(pictures, out, deadline, sums)
        count = len(pictures)
        try:
            result = self.inner.wait(self._patient(deadline))
        except (AnomalyError, NotReadyError) as error:
            result = self._rescue(error, lambda: self._inner_run(pictures, out, deadline, sums), count)
        self.recovery.results += count
        return result

    def run(
        self,
        pictures: np.ndarray,
        out: np.ndarray | None = None,
        deadline: float | None = None,
        sums: bool = False,
    ) -> EngineResult:
        self._ready(pictures, out)
        before, done, step = self.recovery.results, 0, self.policy.every_images
        parts: list[EngineResult] = []
        try:
            while True:
                count = len(pictures) - done
                if step is not None and self.software is None:
                    if self._since >= step:
                        self._guard(self._reload, 0)
                    count = min(count, step - self._since)
                rows = pictures[done : done + count]
                room = None if out is None else out[done : done + count]
                parts.append(self._guard(lambda: self._checked_run(rows, room, deadline, sums), count))  # noqa: B023
                done += count
                self.recovery.results += count
                self._since += count
                if done >= len(pictures):
                    break
        except BaseException:
            self.recovery.results = before  # nothing of it is handed out
            self._good = min(self._good, before)
            raise
        self._stages, result = _joined(parts, out)
        return result

    def one(self, picture: np.ndarray, deadline: float | None = None) -> int:
        try:
            word = self._quick(picture, deadline)
        except (AnomalyError, NotReadyError) as error:
            if not self._plain:
                raise  # `run` has met it
            self._ready(picture[:1], None)
            word = self._rescue(error, lambda: self.bare.one(picture, self._patient(deadline)), 1)
        self.recovery.results += 1
        return word

    def profile(self) -> dict[str, float]:
        return self.bare.profile() if self._plain else dict(self._stages)

    def limit(self, limits: Any) -> None:
        """Take other `Limits`: those of a `Calibration`."""
        self.limits = limits
        self._limit()

    def owned(self) -> bool:
        return self.inner.owned()

    def cancel(self) -> None:
        self._cancelled = True
        self.inner.cancel()

    def close(self) -> None:
        self.state, self.network = "closed", None
        self._drop_software()
        self.inner.close()

    # -- runs --------------------------------------------------------------------------------------------

    @property
    def _plain(self) -> bool:
        """Whether a run is one run of the inner engine."""
        return self.policy.name == "retry" and self.software is None

    def _slow_one(self, picture: np.ndarray, deadline: float | None = None) -> int:
        word = int(self.run(picture.reshape(1, -1), deadline=deadline).words[0])
        self.recovery.results -= 1  # `one` counts it
        return word

    def _patient(self, deadline: float | None) -> float | None:
        return None if deadline is None else deadline * self._patience

    def _inner_run(self, pictures: np.ndarray, out: Any, deadline: float | None, sums: bool) -> EngineResult:
        return self.bare.run(pictures, out, self._patient(deadline), sums)

    def _checked_run(self, pictures: np.ndarray, out: Any, deadline: float | None, sums: bool) -> EngineResult:
        """A run of what is handed out together, and what the policy asks before that."""
        name = self.policy.name
        if self.software is not None or name in ("retry", "reload"):
            return self._inner_run(pictures, out, deadline, sums)
        if name == "strict":
            return self._agreed(pictures, out, deadline, sums)
        result = self._inner_run(pictures, out, deadline, sums)
        step, seconds = self.policy.every_images, self.policy.every_seconds
        if (step is not None and self._since + len(pictures) >= step) or (
            seconds is not None and self._now() - self._checked >= seconds
        ):
            self._known_inputs(len(pictures), deadline)
        return result

    def _known_inputs(self, waiting: int, deadline: float | None) -> None:
        """The canary, with `waiting` results behind it; what was handed out since the last one is in doubt if wrong."""
        try:
            self._canaries().check(self.inner, self._patient(deadline))
        except WrongAnswerError:
            self.recovery.doubt(self._good, self.recovery.results - 1)
            raise
        self.recovery.canaries += 1
        self._fresh(waiting)

    def _fresh(self, waiting: int = 0) -> None:
        """Count from here: `waiting` results are checked, but not handed out yet."""
        self._since, self._good = -waiting, self.recovery.results + waiting
        self._checked = self._now()

    def _reload(self) -> None:
        with self.board.lock:
            self._owned()
            assert self.network is not None
            self.inner.configure(self.network)
        self._limit()
        self.recovery.reloads += 1
        self._since = 0

    def _agreed(self, pictures: np.ndarray, out: Any, deadline: float | None, sums: bool) -> EngineResult:
        """A result that a second computation gave too."""
        if self._reference is not None:
            self.inner.start(pictures, out, sums)
            other = self._reference.run(pictures)  # while the circuit runs
            result = self.inner.wait(self._patient(deadline))
        else:
            other = self._inner_run(pictures, None, deadline, sums)
            self._reload()
            result = self._inner_run(pictures, out, deadline, sums)
        wrong = differences(Answers(pictures, other.words, other.codes), Answers(pictures, result.words, result.codes))
        if wrong:
            raise WrongAnswerError("{} of {} results on {} are not what {} gives, the first: {} instead of {}".format(
                len(wrong), len(pictures), self.name, "software" if self._reference else "a second run",
                wrong[0]["got"], wrong[0]["expected"]))
        return result

    # -- anomalies ---------------------------------------------------------------------------------------

    def _guard(self, work: Callable[[], Answer], count: int) -> Answer:
        """What `work` gives for `count` pictures, whatever anomalies are met on the way."""
        try:
            return work()
        except (AnomalyError, NotReadyError) as error:
            return self._rescue(error, work, count)

    def _rescue(self, error: BoardError, work: Callable[[], Answer], count: int) -> Answer:
        """Recover and work again, as often as the policy allows."""
        if self._recovering:
            raise BoardError("the board is being recovered: the callback of an anomaly must not use the classifier")
        if self._row_ended != self.recovery.results:
            self._row = 0
        left = self.policy.attempts + (not isinstance(error, AnomalyError))
        self._recovering = True
        try:
            while True:
                left -= 1
                self._meet(error, count)
                if left <= 0 and self.software is None:
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

    def _meet(self, error: BoardError, count: int) -> None:
        """Bring the board back, or raise the alarm; anomalies of recovering count too."""
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
                self._note(kind, action, self._now() - begun if action != "none" else 0.0, count)
            if again is None:
                return
            error = again

    def _recover(self, error: BoardError) -> str:
        """Weights, or logic and weights, then known inputs; what was done."""
        # Wrong answers of a circuit that runs: new weights are enough the first time.
        reset = not isinstance(error, WrongAnswerError) or self._row > 1
        inner, network = self.inner, self.network
        assert network is not None
        with self.board.lock:
            if self._cancelled:
                raise ClosedError("this classifier is closed: make another")
            if self.state == "ready":  # loading a network may take the board
                self._owned()
            _log.info("%s: %s", inner.name, "the logic is configured again; a run that is in flight ends with it"
                      if reset else "the weights are written again")
            inner.abandon(reset)
            inner.configure(network)
        self._limit()
        self._canaries().check(inner, most=_FEW)
        self._fresh()
        return "reconfigured" if reset else "reloaded"

    def _owned(self) -> None:
        if not self.inner.owned():
            raise BoardTakenError("{} was taken by another classifier: load the network again".format(self.inner.name))

    def _alarm(self, error: BoardError, count: int) -> None:
        """Do what the policy says: return where the work goes on."""
        policy = self.policy
        if policy.on_alarm == "adapt" and isinstance(error, DeadlineError) and self._patience < _MOST_PATIENCE:
            self._patience *= 4
            self._note("alarm", "adapted", 0.0, count)
            _log.error("alarm on %s: waits may last %d times as long from now on", self.inner.name, self._patience)
            self._row = 0
            self._meet(NotReadyError("a run that took too long is in flight"), count)
            return
        if policy.on_alarm == "cpu":
            assert self.network is not None
            self.inner.abandon()
            self.software = self._software(self.network)
            self._quick = self._slow_one
            self._note("alarm", "software", 0.0, count)
            _log.error("alarm on %s: the processor answers from now on", self.inner.name)
            return
        self._note("alarm", "alarm", 0.0, count)
        _log.error("alarm on %s after %d anomalies in a row", self.inner.name, self._row)
        text = "{} anomalies in a row on {}, the last: {}; load a network to try again".format(
            self._row, self.inner.name, error)
        self.inner.abandon()
        self.network, self.state = None, "failed"
        raise (AlarmDeadlineError if isinstance(error, DeadlineError) else AlarmError)(text) from error

    # -- inside ------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return float(self.board.clock.now())

    def _limit(self) -> None:
        limits = self.limits
        self.inner.limit(limits._replace(margin=limits.margin * self._patience, factor=limits.factor * self._patience))

    def _canaries(self) -> Canary:
        if self._canary is None or self._canary.network is not self.network:
            assert self.network is not None
            self._canary = Canary(self.network)
        return self._canary

    @staticmethod
    def _software(network: Network) -> Engine:
        engine = software_engine(network)
        engine.configure(network)
        return engine

    def _drop_software(self) -> None:
        for engine in (self.software, self._reference):
            if engine is not None:
                engine.close()
        self.software = self._reference = None

    def _note(self, kind: str, action: str, seconds: float, count: int) -> None:
        first = self.recovery.results
        event = Event(self._now(), kind, action, seconds, first, first + count - 1)
        self.recovery.add(event)
        self._told.append(event)

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


def _joined(parts: list[EngineResult], out: np.ndarray | None) -> tuple[dict[str, float], EngineResult]:
    """Stage times and the result of parts that were run one after the other."""
    if len(parts) == 1:
        return parts[0].stages, parts[0]
    stages: dict[str, float] = {}
    for part in parts:
        for name, seconds in part.stages.items():
            stages[name] = stages.get(name, 0.0) + seconds

    def whole(arrays: list[Any]) -> Any:
        return None if any(array is None for array in arrays) else np.concatenate(arrays)

    words = whole([part.words for part in parts]) if out is None else out
    if parts[0].words is None:
        words = None
    sums, codes = whole([part.sums for part in parts]), whole([part.codes for part in parts])
    return stages, EngineResult(words, sums, stages, codes)
