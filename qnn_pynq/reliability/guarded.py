"""The guarded engine: a board's engine, and what a `Policy` says about anomalies."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ..engines.base import Answer, Engine, EngineResult
from ..errors import AnomalyError, BoardError, NotReadyError, WrongAnswerError
from ..networks.types import Network
from .answers import Answers, differences
from .policy import Policy
from .report import Recovery
from .rescue import Rescuer

__all__ = ["GuardedEngine"]


class GuardedEngine(Rescuer):
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
    An interrupt, or an error that is no anomaly, leaves what it broke off to the next call, which recovers first.
    """

    def __init__(self, inner: Engine, policy: Policy, recovery: Recovery) -> None:
        super().__init__(inner, policy, recovery)
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
        self._not_in_callback()  # the rest of a call must not be another network's
        self.check(network)
        self.network, self.state = None, "failed"
        if self.inner.state == "running":
            self.inner.abandon()
        self._drop_software()
        self.network = network
        self._patience, self._row, self._good = 1, 0, self.recovery.results
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

    def meet(self, work: Callable[[], Answer]) -> Answer:
        return self._guard(work, 0)

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
                room = out if out is None or count == len(pictures) else out[done : done + count]
                parts.append(self._guard(lambda: self._checked_run(rows, room, deadline, sums), count))  # noqa: B023
                done += count
                self.recovery.results += count
                self._since += count
                if done >= len(pictures):
                    break
            self._stages, result = _joined(parts, out)
        except BaseException:
            self.take_back(before)
            raise
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

    def take_back(self, results: int) -> None:
        """Count so many results: what came behind them is not handed out."""
        self.recovery.results = results
        self._good = min(self._good, results)

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

    def _take_software(self) -> None:
        self._quick = self._slow_one

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
        """The canary, with `waiting` results behind it."""
        self._canaries().check(self.inner, self._patient(deadline))
        self.recovery.canaries += 1
        self._fresh(waiting)

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

def _joined(parts: list[EngineResult], out: np.ndarray | None) -> tuple[dict[str, float], EngineResult]:
    """Stage times and the result of parts that were run one after the other, with their words in `out` if given."""
    if len(parts) == 1:
        return parts[0].stages, parts[0]
    stages: dict[str, float] = {}
    for part in parts:
        for name, seconds in part.stages.items():
            stages[name] = stages.get(name, 0.0) + seconds

    def whole(arrays: list[Any]) -> Any:
        return None if any(array is None for array in arrays) else np.concatenate(arrays)

    words = whole([part.words for part in parts]) if out is None or parts[0].words is None else out
    sums, codes = whole([part.sums for part in parts]), whole([part.codes for part in parts])
    return stages, EngineResult(words, sums, stages, codes)
