"""Recovery: counters, events, unverified results, as numbers and as text."""

from __future__ import annotations

import json
import math

from qnn_pynq.reliability.report import Event, Recovery


def _event(kind="deadline", action="reconfigured", seconds=0.5, first=0, last=0):
    return Event(1.0, kind, action, seconds, first, last)


def test_events_are_counted_by_kind_and_action():
    found = Recovery()
    for event in (_event(), _event("wrong answer", "reloaded", 0.1), _event(action="none", seconds=0.0),
                  _event("alarm", "alarm", 0.0), _event("left over", seconds=0.3)):
        found.add(event)
    assert found.anomalies == {"deadline": 2, "wrong answer": 1}
    assert (found.recoveries, found.alarms, len(found.events)) == (3, 1, 5)
    assert math.isclose(found.seconds, 0.9) and found.median == 0.3


def test_nothing_happened_yet():
    found = Recovery()
    assert math.isnan(found.median) and found.as_dict()["median"] is None and "no anomalies" in repr(found)


def test_unverified_results_are_ranges():
    found = Recovery()
    found.leave_unverified(5, 4)
    assert found.unverified == []
    found.leave_unverified(0, 9)
    found.leave_unverified(20, 29)
    found.leave_unverified(30, 34)
    assert found.unverified == [(0, 9), (20, 34)]
    found.leave_unverified(25, 40)
    assert found.unverified == [(0, 9), (20, 40)]
    assert "unverified results: 31" in repr(found)


def test_events_are_bounded_and_counters_are_not():
    found = Recovery()
    for number in range(1500):
        found.add(_event(first=number, last=number))
    assert len(found.events) == 1000 and found.events[0].first == 500 and found.anomalies["deadline"] == 1500


def test_the_dict_is_plain():
    found = Recovery()
    found.add(_event(first=2, last=4))
    found.leave_unverified(0, 1)
    again = json.loads(json.dumps(found.as_dict()))
    assert again["events"][0] == {
        "time": 1.0, "kind": "deadline", "action": "reconfigured", "seconds": 0.5, "first": 2, "last": 4}
    assert again["unverified"] == [[0, 1]] and again["median"] == 0.5
