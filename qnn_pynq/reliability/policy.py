"""`Policy`: what a classifier does when the hardware does wrong, and how it looks for errors that are silent."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Callable

import numpy as np

from ..errors import InputError
from .report import Event

__all__ = ["POLICIES", "Policy", "make_policy"]

POLICIES = ("none", "retry", "canary", "reload", "strict")
_ALARMS = ("raise", "cpu", "adapt")
_AGREE = ("cpu", "again")
_EVERY = 1000  # pictures; "canary" and "reload" without a number of their own


@dataclass(frozen=True)
class Policy:
    """What is done about anomalies.

    Parameters
    ----------
    name : {"retry", "none", "canary", "reload", "strict"}
        "none": every anomaly is raised at once; the network must be loaded again.
        "retry": the board is recovered, known inputs are tried, and the failed ones run again. The others do that too,
        and look for silent errors besides:
        "canary": known inputs every `every_pictures` or `every_seconds`; when they fail, or the board is
        recovered before they were due, `Recovery.unverified` names the results since the last good ones. The shipped
        dense networks have 256, which take 2.2 ms on a board.
        "reload": the weights are written again every `every_pictures`.
        Both also look whether each run of a layer-by-layer overlay wrote its maps (dense overlays: every policy does).
        "strict": a result is handed out only when a second computation agrees (see `agree`).
    attempts : int
        Most runs of one input, the first included.
    alarm_after : int
        Anomalies in a row that raise the alarm; a good run in between starts the count anew.
    on_alarm : {"raise", "cpu", "adapt"}
        AlarmError (AlarmDeadlineError after a deadline, which is a TimeoutError); or the software engine answers from
        now on, until a network is loaded; or, after a deadline, waits may last four times as long from now on, up to
        64 times (for any other anomaly, and after that, as "raise").
    every_pictures : int, optional
        1000 for "canary" (without `every_seconds`) and "reload".
    every_seconds : float, optional
        For "canary", by the board's clock.
    agree : {"cpu", "again"}
        Second computation of "strict": the software engine, or the board after its weights were written again, in
        another order, in other buffers and behind two known inputs. "again" cannot see a fault that gives the same
        wrong answer to a picture wherever it lies.
    timeout_factor : float
        A wait may take this many times what is expected, and 1 s beside it unless the time was measured.
    on_anomaly : callable, optional
        Called with each `Event`, alarms included, once the board is recovered or was given up. What it raises is
        logged. It must not use the classifier.
    """

    name: str = "retry"
    attempts: int = 3
    alarm_after: int = 3
    on_alarm: str = "raise"
    every_pictures: int | None = None
    every_seconds: float | None = None
    agree: str = "cpu"
    timeout_factor: float = 20.0
    on_anomaly: Callable[[Event], Any] | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("name", POLICIES), ("on_alarm", _ALARMS), ("agree", _AGREE)):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in allowed:
                raise InputError("policy: {} {!r}, expected one of {}".format(name, value, ", ".join(allowed)))
        for name in ("attempts", "alarm_after", "every_pictures"):
            value = getattr(self, name)
            if name == "every_pictures" and value is None:
                continue
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
                raise InputError(f"policy: {name} must be an integer of at least 1, not {value!r}")
        for name, least in (("every_seconds", 0.0), ("timeout_factor", 1.0)):
            value = getattr(self, name)
            if name == "every_seconds" and value is None:
                continue
            number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
            if not number or not least <= value < 1e9:
                raise InputError(f"policy: {name} must be a number of at least {least:g}, not {value!r}")
        if self.on_anomaly is not None and not callable(self.on_anomaly):
            raise InputError(f"policy: on_anomaly must be callable, not {self.on_anomaly!r}")
        self._check_every()

    def _check_every(self) -> None:
        if self.every_seconds is not None and self.name != "canary":
            raise InputError(f'policy: every_seconds belongs to "canary", not to {self.name!r}')
        if self.every_pictures is not None and self.name not in ("canary", "reload"):
            raise InputError(f'policy: every_pictures belongs to "canary" and "reload", not to {self.name!r}')
        if self.name == "reload" or (self.name == "canary" and self.every_seconds is None):
            if self.every_pictures is None:
                object.__setattr__(self, "every_pictures", _EVERY)


def make_policy(policy: Any) -> Policy:
    """A Policy from its name or from itself.

    Raises
    ------
    InputError
    """
    if isinstance(policy, Policy):
        return policy
    if isinstance(policy, str):
        return Policy(policy)
    raise InputError("policy must be one of {}, or a Policy with {}, not {!r}".format(
        ", ".join(POLICIES), ", ".join(field.name for field in fields(Policy)), policy))
