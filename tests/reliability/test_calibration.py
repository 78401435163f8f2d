"""Calibration: expected times, and the deadlines made of them."""

from __future__ import annotations

import lfc
import numpy as np
import pytest
import small
from small_conv import mixed_network, small_network

from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.contracts.driver import Limits
from qnn_pynq.errors import DeadlineError, InputError
from qnn_pynq.reliability.calibration import Calibration, calibrate, from_user
from qnn_pynq.reliability.policy import Policy

NET = small.network(seed=1)
ROWS = small.pictures(30, NET, 5)


def make(policy="retry", **options):
    return Classifier(NET, EmulatedBoard(), overlay=lfc.tiny(), policy=policy, **options)


def _known(median, spread=0.0, fastest=None):
    return Calibration("o", "n", 1, 0.010, median, spread, median if fastest is None else fastest, 20, "measured")


def test_measured_runs_on_the_emulated_board_agree_with_its_model():
    with make() as classifier:
        for count in (1, 30):
            found = classifier.calibrate(ROWS[:count], runs=5)
            assert (found.pictures, found.runs, found.source) == (count, 5, "measured")
            assert found.median == pytest.approx(found.model, rel=0.1) and found.spread < 0.01 * found.median
            assert found.model == classifier.engine.driver.expected_seconds(count)
            assert "median of 5 runs" in str(found) and found.network == NET.name
        assert classifier.recovery.results == 0  # none of them was handed out


def test_convolutions_are_calibrated_too():
    network = small_network(0)
    with Classifier(network, EmulatedBoard()) as classifier:
        found = classifier.calibrate(small.pictures(2, network), runs=3)
        assert found.median >= found.model > 0
        assert classifier.predict(small.pictures(3, network)).shape == (3,)


def test_limits_follow_what_was_measured():
    same = _known(0.010)
    assert same.limits(20.0) == Limits(0.02, 20.0, 1.0) and same.timeout(20.0) == pytest.approx(0.22)
    slower = _known(0.030, 0.001, 0.029)
    assert slower.limits(10.0) == Limits(pytest.approx(0.03), pytest.approx(30.0), 1.0)
    assert slower.expected(0.1) == pytest.approx(0.3)
    faster = _known(0.008, 0.0, 0.0075)  # the model was wrong, or the clock is higher: neither is too soon
    assert faster.limits(10.0).earliest == pytest.approx(0.75) and faster.limits(10.0).factor == 10.0


def test_the_user_may_say_it():
    with make() as classifier:
        user = from_user(classifier._guard, ROWS, 0.5)
        assert user.expected(user.model) == pytest.approx(0.5) and user.source == "user"
        assert classifier.calibrate(ROWS, seconds=0.5) == user
        assert classifier.engine.driver.limits == user.limits()
        with pytest.raises(InputError, match="above 0"):
            from_user(classifier._guard, ROWS, 0)


def test_a_calibrated_board_is_late_sooner():
    """A run that takes 0.1 s longer is within the generous default, and an anomaly after calibration."""
    with make("none") as classifier:
        classifier.board.twin.inject(lambda twin, event, value: value + extra if event == "duration" else value)
        extra = 0.1
        classifier.predict(ROWS)
        extra = 0.0
        classifier.calibrate()
        classifier.predict(ROWS)
        extra = 0.1
        with pytest.raises(DeadlineError):
            classifier.predict(ROWS)
        extra = 0.0
        classifier.load(NET)
        assert classifier.predict(ROWS).shape == (30,)


def test_a_policy_gives_the_factor():
    with make(Policy(timeout_factor=3.0)) as classifier:
        assert classifier.engine.driver.limits == Limits(1.0, 3.0, 1.0)
        found = classifier.calibrate()
        assert classifier.engine.driver.limits == found.limits(3.0)


def test_what_cannot_be_calibrated_is_refused():
    with make() as classifier:
        with pytest.raises(InputError, match="at least 3"):
            classifier.calibrate(runs=2)
        with pytest.raises(InputError, match="expected 1 to"):
            classifier.calibrate(ROWS[:0])
        with pytest.raises(InputError, match="expected 1 to 16384"):
            calibrate(classifier._guard, np.zeros((16385, 64), np.uint8))
    with Classifier(NET, board="cpu") as classifier, pytest.raises(InputError, match="nothing to calibrate"):
        classifier.calibrate()
    with Classifier(mixed_network(0), EmulatedBoard()) as classifier, pytest.raises(InputError, match="segments"):
        classifier.calibrate()


def test_a_board_that_gives_way_to_the_processor_meanwhile_is_not_calibrated():
    with make(Policy(on_alarm="cpu", alarm_after=1)) as classifier:
        classifier.board.twin.inject(lambda twin, event, value: np.inf if event == "duration" else value)
        before = classifier.board.clock.now()
        with pytest.raises(InputError, match="the board was given up at .* s of its clock, after 1 alarm, ") as caught:
            classifier.calibrate()
        event = classifier.recovery.events[-1]
        assert (event.kind, event.action) == ("alarm", "software") and classifier._guard.given_up == event
        assert before < event.time == pytest.approx(classifier.board.clock.now(), abs=1e-3)
        assert f"{event.time:.3f} s" in str(caught.value) and "load a network to try it again" in str(caught.value)
        assert classifier.predict(ROWS).shape == (30,)
        for again in (classifier.calibrate, lambda: classifier.calibrate(seconds=0.5)):
            with pytest.raises(InputError, match=f"given up at {event.time:.3f} s"):
                again()
        classifier.board.twin.inject(None)
        classifier.load(NET)
        assert classifier._guard.given_up is None and classifier.calibrate(runs=3).runs == 3
