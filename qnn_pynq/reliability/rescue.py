"""Recovering a board by a policy: what the guarded engine does when its engine meets an anomaly."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import Any, Callable

from ..contracts.driver import Limits
from ..engines import software_engine
from ..engines.base import Answer, Engine
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
from ..networks.types import Network
from .canary import Canary
from .policy import Policy
from .report import Event, Recovery

__all__ = ["Rescuer"]

_log = logging.getLogger(__name__)
_FEW = 1 << 16, 16  # bytes of pictures, and pictures: known inputs after each recovery
_MOST_PATIENCE = 64


class Rescuer(Engine):
    """An engine around another one, of which this part recovers and counts.

    Notes
    -----
    The published circuits cannot abort a run. What is in flight when a run is given up goes on until the logic is
    configured again; its buffers live until then.
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

    # -- anomalies ---------------------------------------------------------------------------------------

    def _guard(self, work: Callable[[], Answer], count: int) -> Answer:
        """What `work` gives for `count` pictures, whatever anomalies are met on the way."""
        try:
            return work()
        except (AnomalyError, NotReadyError) as error:
            return self._rescue(error, work, count)

    def _rescue(self, error: BoardError, work: Callable[[], Answer], count: int) -> Answer:
        """Recover and work again, as often as the policy allows."""
        self._not_in_callback()
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

    def _not_in_callback(self) -> None:
        if self._recovering:
            raise BoardError("the board is being recovered: the callback of an anomaly must not use the classifier")

    def _meet(self, error: BoardError, count: int) -> None:
        """Bring the board back, or raise the alarm; anomalies of recovering count too."""
        if self.policy.name == "canary":  # weights go that no known inputs will look at any more
            self.recovery.doubt(self._good, self.recovery.results - 1)
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
        known = self._canaries()
        known.check(inner, most=max(1, min(_FEW[1], _FEW[0] // known.answers.pictures.shape[1])))
        self._fresh()
        return "reconfigured" if reset else "reloaded"

    def _owned(self) -> None:
        if not self.inner.owned():
            raise BoardTakenError("{} was taken by another classifier: load the network again".format(self.inner.name))

    @abstractmethod
    def _take_software(self) -> None:
        """`software` is going to answer."""

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
            self._take_software()
            self.software = self._software(self.network)
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

    def _fresh(self, waiting: int = 0) -> None:
        """Count from here: `waiting` results are checked, but not handed out yet."""
        self._since, self._good = -waiting, self.recovery.results + waiting
        self._checked = self._now()

    def _now(self) -> float:
        return float(self.board.clock.now())

    def _limit(self) -> None:
        limits = self.limits
        patience, marked = self._patience, limits.marked or self.policy.name in ("canary", "reload")
        self.inner.limit(limits._replace(
            margin=limits.margin * patience, factor=limits.factor * patience, marked=marked))

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
        engines, self.software, self._reference = (self.software, self._reference), None, None
        for engine in engines:
            if engine is not None:
                engine.close()

    def _note(self, kind: str, action: str, seconds: float, count: int, noticed: float | None = None) -> None:
        first = self.recovery.results
        event = Event(self._now() if noticed is None else noticed, kind, action, seconds, first, first + count - 1)
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
