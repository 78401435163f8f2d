"""Policies: names, defaults, and what is refused."""

from __future__ import annotations

import dataclasses

import pytest

from qnn_pynq.errors import InputError
from qnn_pynq.reliability.policy import POLICIES, Policy, make_policy


@pytest.mark.parametrize("name", POLICIES)
def test_a_name_is_a_policy(name):
    policy = make_policy(name)
    assert policy.name == name and make_policy(policy) is policy
    assert policy.every_pictures == (1000 if name in ("canary", "reload") else None)


def test_retry_is_the_default_and_alarms_after_three():
    assert Policy() == Policy("retry", attempts=3, alarm_after=3, on_alarm="raise")


def test_known_inputs_may_come_by_time_alone():
    assert Policy("canary", every_seconds=2).every_pictures is None
    assert Policy("canary", every_seconds=2, every_pictures=5).every_pictures == 5


@pytest.mark.parametrize("wrong, word", [
    ({"name": "retries"}, "retry"), ({"name": None}, "name"), ({"on_alarm": "panic"}, "raise, cpu, adapt"),
    ({"name": "strict", "agree": "fpga"}, "cpu, again"), ({"attempts": 0}, "at least 1"),
    ({"attempts": True}, "attempts"),
    ({"alarm_after": 1.5}, "alarm_after"), ({"name": "canary", "every_pictures": 0}, "every_pictures"),
    ({"name": "canary", "every_seconds": -1}, "every_seconds"), ({"name": "canary", "every_seconds": "1"}, "seconds"),
    ({"name": "canary", "every_seconds": True}, "every_seconds"), ({"timeout_factor": True}, "timeout_factor"),
    ({"every_pictures": 10}, "belongs to"), ({"name": "reload", "every_seconds": 1.0}, 'belongs to "canary"'),
    ({"timeout_factor": 0.5}, "at least 1"), ({"timeout_factor": float("nan")}, "timeout_factor"),
    ({"on_anomaly": 5}, "callable"),
])
def test_what_makes_no_policy_is_refused_with_its_name(wrong, word):
    with pytest.raises(InputError, match=word):
        Policy(**wrong)


@pytest.mark.parametrize("wrong", [None, 3, "", "Retry", {"name": "retry"}])
def test_what_is_no_policy_is_refused_with_the_choices(wrong):
    with pytest.raises(InputError, match="none, retry, canary, reload, strict"):
        make_policy(wrong)


def test_a_policy_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Policy().attempts = 5  # type: ignore[misc]
