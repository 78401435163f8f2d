"""What went wrong on a board and what was done about it: counters, events, and results that nobody verified."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Any, NamedTuple

__all__ = ["Event", "Recovery"]

_EVENTS = 1000  # remembered; counters go on


class Event(NamedTuple):
    """One anomaly, alarm or finding.

    Attributes
    ----------
    time : float
        Seconds by the board's clock (modelled on an emulated board) when it was noticed.
    kind : str
        `AnomalyError.kind`: "deadline", "early done", "done without data", "error bit", "bus error",
        "wrong answer", "foreign bitstream"; "alarm"; or "left over": a run that an interrupt or too little memory
        broke off.
    action : str
        "reloaded" (weights written again), "reconfigured" (logic and weights), "alarm", "adapted" (more time from now
        on), "software" (the processor answers from now on), or "none": nothing was done, or what was tried failed
        too, and the next event says how.
    seconds : float
        Until the known inputs gave the known answers again, by the board's clock; 0 where nothing was recovered. On an
        emulated board that is weights and runs: its clock does not know how long configuring the logic takes.
    first, last : int
        Numbers of the results that were waited for; `last` is below `first` where there were none.
    """

    time: float
    kind: str
    action: str
    seconds: float
    first: int
    last: int


class Recovery:
    """Counters of one classifier, kept over its networks.

    Results are numbered from 0 in the order in which they are handed out; what ends in an error has no number.

    Attributes
    ----------
    results : int
        Handed out so far: the next one's number.
    anomalies : dict of str to int
        By kind.
    recoveries : int
        How often the board was brought back.
    alarms : int
    canaries : int
        Rounds of known inputs that were right.
    reloads : int
        Rewritten weights that the policy asked for, without an anomaly.
    seconds : float
        Of all recoveries, by the board's clock.
    events : deque of Event
        The last ones.
    unverified : list of (int, int)
        Numbers of the first and last result behind a canary that was right, where the next one was not, or another
        anomaly or interrupt came before it, after which the weights were written again.
    """

    def __init__(self) -> None:
        self.results = 0
        self.anomalies: dict[str, int] = {}
        self.recoveries = 0
        self.alarms = 0
        self.canaries = 0
        self.reloads = 0
        self.seconds = 0.0
        self.events: deque[Event] = deque(maxlen=_EVENTS)
        self.unverified: list[tuple[int, int]] = []

    @property
    def median(self) -> float:
        """Median seconds of the remembered recoveries; nan before the first."""
        found = [event.seconds for event in self.events if event.action in ("reloaded", "reconfigured")]
        return float(median(found)) if found else float("nan")

    def add(self, event: Event) -> None:
        """Count an event."""
        self.events.append(event)
        if event.kind == "alarm":
            self.alarms += 1
        elif event.kind != "left over":
            self.anomalies[event.kind] = self.anomalies.get(event.kind, 0) + 1
        if event.action in ("reloaded", "reconfigured"):
            self.recoveries += 1
            self.seconds += event.seconds

    def leave_unverified(self, first: int, last: int) -> None:
        """Name results `first` to `last` as unverified; nothing where there are none."""
        if last < first:
            return
        if self.unverified and self.unverified[-1][1] >= first - 1:
            first = min(first, self.unverified.pop()[0])
        self.unverified.append((first, last))

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {
            "results": self.results,
            "anomalies": dict(self.anomalies),
            "recoveries": self.recoveries,
            "alarms": self.alarms,
            "canaries": self.canaries,
            "reloads": self.reloads,
            "seconds": self.seconds,
            "median": self.median if self.recoveries else None,
            "unverified": [list(pair) for pair in self.unverified],
            "events": [event._asdict() for event in self.events],
        }

    def __repr__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.anomalies.items()))
        return "Recovery({} results; {}; recoveries: {} in {:.3g} s; alarms: {}; unverified results: {})".format(
            self.results, kinds or "no anomalies", self.recoveries, self.seconds, self.alarms,
            sum(last - first + 1 for first, last in self.unverified),
        )
