"""The guard of runs: every anomaly is met by its policy; nothing wrong, nothing lost, nothing twice."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import sys
import threading
import time

import lfc
import numpy as np
import pytest
import small
from small_conv import mixed_network, small_network

from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.contracts.clock import RealClock
from qnn_pynq.errors import (
    AlarmDeadlineError,
    AlarmError,
    BoardError,
    BoardTakenError,
    BusError,
    ClosedError,
    DeadlineError,
    EarlyDoneError,
    ForeignBitstreamError,
    KernelError,
    NoDataError,
    NotPicklableError,
    NotReadyError,
    QnnError,
    StatusError,
    UnsupportedNetworkError,
    WrongAnswerError,
)
from qnn_pynq.faults import Fault, FaultPlan
from qnn_pynq.reliability.guard import Guard
from qnn_pynq.reliability.policy import Policy

NET = small.network(seed=1)
ROWS = small.pictures(60, NET, 5)
WANTED = small.answers(NET, ROWS)


def make(policy="retry", board=None, net=NET, **options):
    return Classifier(net, board or EmulatedBoard(), overlay=lfc.tiny(), policy=policy, **options)


def once(kind, at=0, amount=0.1, place=0):
    """A board on which one fault strikes at the `at`-th run after `go`."""
    plan = FaultPlan(faults=[Fault(kind, at, amount, place)])
    plan.active = False
    return EmulatedBoard(faults=plan)


def go(classifier):
    classifier.board.faults.active = True


class Broken(EmulatedBoard):
    """A board whose every twin gets the same injected fault while it is armed."""

    def __init__(self, fault, **options):
        self._fault, self.armed = fault, False
        super().__init__(**options)

    def _configure(self, overlay):
        super()._configure(overlay)
        self.twin.inject(lambda *arguments: self._fault(*arguments) if self.armed else arguments[2])


def hangs(twin, event, value):
    return math.inf if event == "duration" and not twin.registers.get(0x28) else value


def wrong_words(twin, event, value):
    return value ^ np.uint8(1) if event == "words" else value


def flip_a_weight(board, layer=1, neuron=0):
    """One neuron of the last layer is turned round as a whole: seen in every word."""
    board.twin.weights[layer][neuron] ^= np.uint64(0xF)
    board.twin.thresholds[layer][neuron] = -30000
    board.twin._stack = None


# -- anomalies -------------------------------------------------------------------------------------------

KINDS = {"hang": "deadline", "early done": "early done", "bus error": "bus error", "reprogrammed": "foreign bitstream"}


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_anomaly_is_recovered_and_the_failed_pictures_run_again(kind, many):
    with make(board=once(kind)) as classifier:
        assert classifier.predict(ROWS[:3]).tolist() == WANTED[:3].tolist()
        go(classifier)
        generation = classifier.board.generation
        rows = ROWS if many else ROWS[7]
        assert classifier.predict(rows).tolist() == WANTED[slice(None) if many else slice(7, 8)].tolist()
        recovery = classifier.recovery
        assert recovery.anomalies == {KINDS[kind]: 1} and recovery.recoveries == 1 and not recovery.alarms
        assert classifier.board.generation > generation
        event = recovery.events[0]
        assert (event.kind, event.action) == (KINDS[kind], "reconfigured")
        assert (event.first, event.last) == (3, 62 if many else 3) and event.seconds > 0
        assert recovery.results == 3 + len(np.atleast_2d(rows)) and recovery.seconds == event.seconds
        assert classifier.predict(ROWS).tolist() == WANTED.tolist() and recovery.recoveries == 1


@pytest.mark.parametrize("kind, error", [
    ("hang", DeadlineError), ("early done", EarlyDoneError), ("bus error", BusError),
    ("reprogrammed", ForeignBitstreamError),
])
def test_without_a_policy_each_anomaly_is_raised_by_its_name(kind, error):
    with make("none", once(kind)) as classifier:
        go(classifier)
        with pytest.raises(error):
            classifier.predict(ROWS)
            classifier.predict(ROWS)  # a reprogramming is seen at the next run
        with pytest.raises(BoardError, match="load"):
            classifier.predict(ROWS)
        classifier.load(NET)
        assert classifier.predict(ROWS).tolist() == WANTED.tolist()
        assert not classifier.recovery.anomalies


@pytest.mark.parametrize("many", [False, True])
def test_results_that_were_never_written_are_noticed(many):
    rows, wanted = (ROWS, WANTED) if many else (ROWS[3:4], WANTED[3:4])
    with make(board=once("done without data")) as classifier:
        assert classifier.predict(rows).tolist() == wanted.tolist()
        go(classifier)
        assert classifier.predict(rows).tolist() == wanted.tolist()
        assert classifier.recovery.anomalies == {"done without data": 1}
    with make("none", once("done without data")) as classifier:
        classifier.predict(rows)
        go(classifier)
        with pytest.raises(NoDataError, match="{0} of {0} results".format(len(rows))):
            classifier.predict(rows)


def test_status_bits_that_no_circuit_has_are_an_anomaly():
    class Dead(EmulatedBoard):
        """A bus without a slave, for the next reads."""

        dead = 0

        def ip(self, name):
            registers = super().ip(name)
            if not self.dead:
                return registers
            self.dead -= 1
            return type("Floating", (), {"read": lambda _, offset: 0xFFFFFFFF, "write": lambda *_: None})()

    for policy, error in (("none", StatusError), ("retry", None)):
        with make(policy, Dead()) as classifier:
            classifier.board.dead = 1
            if error:
                with pytest.raises(error, match="0xffffffff"):
                    classifier.predict(ROWS)
            else:
                assert classifier.predict(ROWS).tolist() == WANTED.tolist()
                assert classifier.recovery.anomalies == {"error bit": 1}


@pytest.mark.parametrize("net", [small_network(0), mixed_network(0)], ids=["one overlay", "segments"])
@pytest.mark.parametrize("kind", ["hang", "early done", "bus error", "reprogrammed"])
@pytest.mark.parametrize("at", [0, 1, 4])
def test_convolutions_are_recovered_wherever_the_fault_strikes(net, kind, at):
    X = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    with Classifier(net, board="cpu") as software:
        wanted = software.predict(X).tolist()
    with Classifier(net, board=once(kind, at)) as classifier:
        go(classifier)
        assert classifier.predict(X).tolist() == wanted
        assert classifier.predict(X).tolist() == wanted
        assert sum(classifier.recovery.anomalies.values()) == 1 == classifier.recovery.recoveries
        board = classifier.board
    assert board.memory.used == 0


@pytest.mark.parametrize("kind", ["hang", "bus error", "reprogrammed"])
@pytest.mark.parametrize("policy", ["retry", "strict", Policy(on_alarm="cpu", alarm_after=1)],
                         ids=["retry", "strict", "cpu"])
def test_profiling_meets_anomalies_too(kind, policy):
    with make(policy, once(kind)) as classifier:
        go(classifier)
        assert classifier.profile(ROWS[0]).network == NET.name
        assert sum(classifier.recovery.anomalies.values()) == 1 and classifier.recovery.results == 0
        assert classifier.predict(ROWS).tolist() == WANTED.tolist()
    with make(policy, Broken(hangs)) as classifier:
        classifier.board.armed = True
        if classifier.policy.on_alarm == "raise":
            with pytest.raises(AlarmDeadlineError):
                classifier.profile(ROWS[0])
            with pytest.raises(BoardError, match="load a network again"):
                classifier.profile(ROWS[0])


@pytest.mark.parametrize("policy", ["none", "retry", "canary", "reload", "strict", Policy("strict", agree="again")],
                         ids=["none", "retry", "canary", "reload", "strict", "again"])
@pytest.mark.parametrize("net", [NET, small_network(0), mixed_network(0)], ids=["dense", "conv", "segments"])
def test_no_pictures_have_no_answers(net, policy):
    overlay = {"overlay": lfc.tiny()} if net is NET else {}
    with Classifier(net, EmulatedBoard(), policy=policy, **overlay) as classifier:
        none = np.zeros((0, net.input.pixels), np.uint8)
        assert classifier.predict(none).shape == (0,)
        assert classifier.decision_function(none).shape == (0, len(net.classes))


def test_a_load_that_hangs_is_recovered_too():
    board = once("hang")
    board.faults.active = True
    with make(board=board) as classifier:
        assert classifier.predict(ROWS).tolist() == WANTED.tolist()
        assert classifier.recovery.anomalies == {"deadline": 1}


# -- alarms ----------------------------------------------------------------------------------------------


def test_a_hang_that_stays_is_an_alarm_a_deadline_and_a_timeout():
    told = []
    board = Broken(hangs)
    with make(Policy(on_anomaly=told.append), board) as classifier:
        board.armed = True
        with pytest.raises(TimeoutError, match="3 anomalies in a row.*load a network") as caught:
            classifier.predict(ROWS[0])
        assert isinstance(caught.value, AlarmDeadlineError) and isinstance(caught.value.__cause__, DeadlineError)
        assert [event.kind for event in told] == ["deadline"] * 3 + ["alarm"]
        assert [event.action for event in told] == ["none", "none", "none", "alarm"]
        assert classifier.recovery.alarms == 1 and classifier.recovery.results == 0
        for rows in (ROWS, ROWS[0]):
            with pytest.raises(BoardError, match="load a network again"):
                classifier.predict(rows)
        board.armed = False
        classifier.load(NET)
        assert classifier.predict(ROWS).tolist() == WANTED.tolist()
    assert board.memory.used == 0


def test_alarms_of_other_kinds_are_no_timeouts():
    board = Broken(wrong_words)
    with make("strict", board) as classifier:
        board.armed = True
        with pytest.raises(AlarmError) as caught:
            classifier.predict(ROWS)
        assert isinstance(caught.value.__cause__, WrongAnswerError) and not isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("net, shape", [(NET, (60, 64)), (small_network(0), (3, 16, 16, 3))], ids=["dense", "conv"])
def test_after_an_alarm_the_processor_answers_where_the_policy_says_so(net, shape):
    X = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    board = Broken(hangs)
    with Classifier(net, board="cpu") as software:
        wanted = software.predict(X).tolist()
    overlay = {"overlay": lfc.tiny()} if net is NET else {}
    with Classifier(net, board, policy=Policy(on_alarm="cpu"), **overlay) as classifier:
        board.armed = True
        found = [answer.index for answer in classifier.stream(iter(X), batch_size=2)]
        assert found == wanted and classifier.recovery.alarms == 1
        assert classifier.predict(X[:1]).tolist() == wanted[:1] and classifier.engine.name == "cpu"
        assert classifier.recovery.alarms == 1 and classifier.recovery.results == len(X) + 1
        assert classifier.recovery.events[-1].action == "software"
        board.armed = False
        classifier.load(net)
        assert classifier.predict(X).tolist() == wanted and classifier.engine.name == "emulated board"
    assert board.memory.used == 0


def test_a_slow_board_gets_more_time_where_the_policy_says_so():
    board = Broken(lambda twin, event, value: value + 3.0 if event == "duration" and value > 1e-6 else value)
    with make(Policy(on_alarm="adapt", alarm_after=2), board, timeout=1.0) as classifier:
        board.armed = True
        assert classifier.predict(ROWS).tolist() == WANTED.tolist()
        assert classifier.recovery.anomalies == {"deadline": 2} and classifier.recovery.alarms == 1
        assert classifier.predict(ROWS).tolist() == WANTED.tolist() and classifier.recovery.alarms == 1
    board = Broken(hangs)
    with make(Policy(on_alarm="adapt"), board) as classifier:
        board.armed = True
        with pytest.raises(AlarmDeadlineError):
            classifier.predict(ROWS)


def test_after_the_attempts_the_anomaly_itself_is_raised_and_the_next_call_goes_on():
    board = Broken(hangs)
    with make(Policy(attempts=2, alarm_after=4), board) as classifier:
        board._fault = lambda twin, event, value: hangs(twin, event, value) if twin.registers[0x5C] > 40 else value
        board.armed = True
        with pytest.raises(DeadlineError) as caught:
            classifier.predict(ROWS)
        assert not isinstance(caught.value, AlarmError) and classifier.recovery.recoveries == 2
        assert classifier.predict(ROWS[:9]).tolist() == WANTED[:9].tolist()
        with pytest.raises(DeadlineError) as caught:  # the good run in between started the count anew
            classifier.predict(ROWS)
        assert not isinstance(caught.value, AlarmError)
        with pytest.raises(AlarmError):
            classifier.predict(ROWS)


def test_wrong_answers_bring_new_weights_first_and_new_logic_then():
    runs = []

    def twice(twin, event, value):
        if event == "words":
            runs.append(len(value))
        return value ^ np.uint8(1) if event == "words" and runs in ([40], [40, 128]) else value

    board = Broken(twice)
    with make("strict", board) as classifier:
        generation, board.armed = board.generation, True
        assert classifier.predict(ROWS[:5]).tolist() == WANTED[:5].tolist()
        assert [event.action for event in classifier.recovery.events] == ["none", "reconfigured"]
        assert board.generation == generation + 1
        runs[:] = []
        assert classifier.predict(ROWS[:5]).tolist() == WANTED[:5].tolist()
        assert board.generation == generation + 2


def test_results_that_a_later_part_keeps_back_have_no_number():
    runs = []

    def later(twin, event, value):
        runs.extend([0] if event == "words" else [])
        return hangs(twin, event, value) if len(runs) > 4 else value

    board = Broken(later)
    with make(Policy("canary", every_pictures=7), board) as classifier:
        classifier.predict(ROWS[:2])
        board.armed = True
        with pytest.raises(AlarmDeadlineError):
            classifier.predict(ROWS)
        assert classifier.recovery.results == 2


def test_a_callback_that_fails_or_comes_back_changes_nothing():
    def callback(event):
        told.append(classifier.predict(ROWS[:2]).tolist())
        raise RuntimeError("no")

    told = []
    with make(Policy(on_anomaly=callback), once("hang")) as classifier:
        go(classifier)
        assert classifier.predict(ROWS).tolist() == WANTED.tolist()
        assert told == [WANTED[:2].tolist()]


def test_a_callback_cannot_load_a_network_for_the_rest_of_its_call():
    told = []

    def callback(event):
        try:
            classifier.load(small.network(seed=2))
        except BoardError as error:
            told.append(str(error))

    with make(Policy("canary", every_pictures=7, on_anomaly=callback), once("hang")) as classifier:
        go(classifier)
        assert classifier.decision_function(ROWS).tolist() == _scores()
        assert len(told) == 1 and "must not use the classifier" in told[0] and classifier.network is NET
        classifier.load(small.network(seed=2))


# -- silent errors ---------------------------------------------------------------------------------------


def test_retry_does_not_see_a_flipped_weight_and_strict_does():
    for policy in ("retry", "strict", Policy("strict", agree="again")):
        with make(policy) as classifier:
            flip_a_weight(classifier.board)
            right = classifier.decision_function(ROWS).tolist() == _scores()
            assert right == (policy != "retry")
            if policy != "retry":
                assert classifier.recovery.anomalies == {"wrong answer": 1}
                assert classifier.recovery.events[0].action == "reloaded"
                assert classifier.decision_function(ROWS[:1]).tolist() == _scores()[:1]


def _scores():
    with Classifier(NET, board="cpu") as software:
        return software.decision_function(ROWS).tolist()


def test_known_inputs_find_a_flipped_weight_and_say_which_results_are_in_doubt():
    with make(Policy("canary", every_pictures=20)) as classifier:
        assert classifier.decision_function(ROWS[:25]).tolist() == _scores()[:25]  # good up to 19
        assert classifier.recovery.canaries == 1
        flip_a_weight(classifier.board)
        assert classifier.decision_function(ROWS[25:35]).tolist() != _scores()[25:35]
        assert not classifier.recovery.unverified
        # 5 more reach the canary: it fails, and these are computed again.
        assert classifier.decision_function(ROWS[35:]).tolist() == _scores()[35:]
        assert classifier.recovery.unverified == [(20, 34)]
        assert classifier.recovery.anomalies == {"wrong answer": 1} and classifier.recovery.results == 60
        assert classifier.recovery.events[0][4:] == (35, 39)


@pytest.mark.parametrize("kind", ["hang", "bus error"])
def test_results_whose_weights_go_before_their_canary_are_in_doubt(kind):
    with make(Policy("canary", every_pictures=20), once(kind)) as classifier:
        classifier.predict(ROWS[:25])
        flip_a_weight(classifier.board)
        assert classifier.decision_function(ROWS[25:30]).tolist() != _scores()[25:30]
        go(classifier)
        assert classifier.decision_function(ROWS[30:34]).tolist() == _scores()[30:34]
        assert classifier.recovery.anomalies == {{"hang": "deadline"}.get(kind, kind): 1}
        assert classifier.recovery.unverified == [(20, 29)]


def test_results_of_one_call_are_not_handed_out_before_their_canary():
    with make(Policy("canary", every_pictures=7)) as classifier:
        flip_a_weight(classifier.board)
        assert classifier.decision_function(ROWS).tolist() == _scores()
        assert classifier.recovery.unverified == [] and classifier.recovery.canaries == 8


def test_known_inputs_may_come_by_time():
    with make(Policy("canary", every_seconds=5.0)) as classifier:
        classifier.predict(ROWS)
        assert classifier.recovery.canaries == 0
        classifier.board.clock.advance(6.0)
        for _ in range(3):
            classifier.predict(ROWS[0])
        assert classifier.recovery.canaries == 1


def test_weights_are_written_again_every_so_many_images():
    with make(Policy("reload", every_pictures=25)) as classifier:
        generation = classifier.board.generation
        flip_a_weight(classifier.board)
        scores = classifier.decision_function(ROWS).tolist()
        assert scores[:25] != _scores()[:25] and scores[25:] == _scores()[25:]
        assert classifier.recovery.reloads == 2 and classifier.board.generation == generation
        for row in ROWS:
            classifier.predict(row)
        assert classifier.recovery.reloads == 4 and classifier.recovery.results == 120


@pytest.mark.parametrize("net", [small_network(0), mixed_network(0)], ids=["one overlay", "segments"])
@pytest.mark.parametrize("policy", ["strict", Policy("strict", agree="again")], ids=["cpu", "again"])
def test_strict_convolutions_hand_out_no_corrupt_code(net, policy):
    X = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    with Classifier(net, board="cpu") as software:
        wanted = software.features(X)
    for at in (1, 3):
        with Classifier(net, board=once("corrupt word", at), policy=policy) as classifier:
            go(classifier)
            assert np.array_equal(classifier.features(X), wanted)
            assert set(classifier.recovery.anomalies) <= {"wrong answer"}


@pytest.mark.parametrize("policy", [
    "none", "retry", "strict", Policy("strict", agree="again"), Policy("canary", every_pictures=7),
    Policy("reload", every_pictures=9),
], ids=["none", "retry", "strict", "again", "canary", "reload"])
def test_the_words_of_every_part_come_as_one_result(policy):
    words = small.words(NET, ROWS)
    with make(policy) as classifier:
        guard = classifier._guard
        found = guard.run(ROWS)
        assert (found.values == words).all() and (found.kind, found.end) == ("words", len(NET.layers))
        assert set(found.stages) == {"pack", "transfer", "accelerator", "emulation"}
        assert found.stages["accelerator"] > 0
        assert [guard.one(row) for row in ROWS[:3]] == words[:3].tolist()
        assert guard.run(ROWS[:0]).values.shape == (0,)
        assert guard.recovery.results == (0 if policy == "none" else 63)


def test_sums_of_the_processor_come_from_every_part_after_an_alarm():
    """Its software gives sums where the logic gives none; parts without sums make a result without."""
    board = Broken(hangs)
    with make(Policy("canary", every_pictures=7, on_alarm="cpu", alarm_after=1), board) as classifier:
        assert classifier._guard.run(ROWS[:20], sums=True).sums is None
        board.armed = True
        assert classifier._guard.run(ROWS, sums=True).sums.shape == (60, 64)
        assert (classifier._guard.run(ROWS).values == small.words(NET, ROWS)).all()


def test_an_anomaly_while_software_computes_the_same_is_met():
    """Between the start of a run and the wait for it."""
    board = once("hang")
    with make("strict", board) as classifier:
        go(classifier)
        assert (classifier._guard.run(ROWS).values == small.words(NET, ROWS)).all()
        assert classifier.recovery.anomalies == {"deadline": 1}


def test_work_that_hands_out_nothing_is_repeated_too():
    board = once("hang")
    with make(board=board) as classifier:
        go(classifier)
        guard = classifier._guard
        assert (guard.run_again(lambda: guard.engine.run(ROWS)).values == small.words(NET, ROWS)).all()
        assert classifier.recovery.anomalies == {"deadline": 1} and classifier.recovery.results == 0


# -- results in the wrong place --------------------------------------------------------------------------


def _rolled(found):
    """Each result one place behind its own, the last in front."""
    return np.roll(found, 1, axis=0)


def _late(found):
    """Each result one place behind its own; in front what was left over from somewhere."""
    return np.concatenate([found[-1:] ^ np.array(1, found.dtype), found[:-1]])


def _early(found):
    return np.roll(found, -1, axis=0)


class Shifted(EmulatedBoard):
    """A board on which every run's results are in other places."""

    def __init__(self, move):
        super().__init__()
        self.move, self.injected = None, 0
        self._move = move

    def strike(self, classifier, monkeypatch, runs=None):
        """In so many runs from now on; by default in all."""
        for driver in classifier.engine.drivers:
            def moved(timeout=None, finish=driver.finish):
                found = finish(timeout)
                self.injected += 1
                return self._move(found) if runs is None or self.injected <= runs else found
            monkeypatch.setattr(driver, "finish", moved)


_SAME = np.repeat(ROWS[:1], 4, axis=0)
_MIRRORED = np.stack([np.concatenate([row[:32], row[:32][::-1]]) for row in ROWS])
PLACES = {
    "one": ROWS[:1], "two": ROWS[:2], "many": ROWS, "neighbours": np.repeat(ROWS[:8], 2, axis=0),
    "same and one": np.concatenate([_SAME, ROWS[1:2]]), "one mirrored": _MIRRORED[:1], "two mirrored": _MIRRORED[:2],
    "dark": np.concatenate([np.zeros((1, 64), np.uint8), ROWS[:1]]),
}


@pytest.mark.parametrize("move", [_rolled, _late, _early], ids=["rolled", "late", "early"])
@pytest.mark.parametrize("rows", list(PLACES.values()), ids=list(PLACES))
def test_results_that_are_shifted_in_both_runs_are_caught(rows, move, monkeypatch):
    right = small.words(NET, rows)
    for _ in range(8):  # whatever order the second run takes
        with make(Policy("strict", agree="again"), Shifted(move)) as classifier:
            classifier._guard._order = np.random.RandomState(_)
            classifier.board.strike(classifier, monkeypatch, runs=2)
            assert (classifier._guard.run(rows).values == right).all()
            if not (move(right) == right).all():
                assert classifier.recovery.anomalies == {"wrong answer": 1}
            monkeypatch.undo()


@pytest.mark.parametrize("rows", list(PLACES.values()), ids=list(PLACES))
def test_results_that_stay_shifted_are_an_alarm(rows, monkeypatch):
    with make(Policy("strict", agree="again"), Shifted(_late)) as classifier:
        classifier.board.strike(classifier, monkeypatch)
        with pytest.raises(AlarmError):
            classifier.predict(rows)
        assert classifier.recovery.results == 0


@pytest.mark.parametrize("net", [small_network(0), mixed_network(0)], ids=["one overlay", "segments"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_maps_that_are_shifted_in_both_runs_are_caught(net, count, monkeypatch):
    X = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3)).astype(np.uint8)
    with Classifier(net, board="cpu") as software:
        wanted = software.features(X)
    with Classifier(net, Shifted(_late), policy=Policy("strict", agree="again")) as classifier:
        classifier.board.strike(classifier, monkeypatch, runs=2 * len(classifier.engine.drivers))
        assert np.array_equal(classifier.features(X), wanted)
        assert classifier.recovery.anomalies == {"wrong answer": 1}


def test_the_second_run_uses_other_buffers_in_another_order():
    starts = []

    class Watched(EmulatedBoard):
        def _configure(self, overlay):
            super()._configure(overlay)
            self.twin.inject(self.look)

        def look(self, twin, event, value):
            if event == "words":
                starts.append((twin.registers[0x10], twin.registers[0x1C], value.copy()))
            return value

    with make(Policy("strict", agree="again"), Watched()) as classifier:
        used = classifier.board.memory.used
        classifier.predict(ROWS)
        classifier.predict(ROWS)
        assert not classifier.recovery.anomalies and classifier.recovery.reloads == 2
        first, second, third, fourth = starts
        assert first[0] != second[0] and first[1] != second[1]
        places = [found[2].view(np.uint64)[-60:].tolist() for found in starts]
        assert places[0] == places[2] and len({tuple(place) for place in places}) == 3
        assert sorted(places[0]) == sorted(places[1]) == sorted(places[3])
        assert used == 0
    assert classifier.board.memory.used == 0


# -- nothing lost, nothing hangs -------------------------------------------------------------------------


def test_a_board_that_another_classifier_took_is_not_taken_back():
    board = once("reprogrammed")
    with make(board=board) as first, make(board=board, net=small.network(seed=2)) as second:
        for policy_rows in (ROWS, ROWS[0]):
            with pytest.raises(BoardTakenError):
                first.predict(policy_rows)
        assert second.predict(ROWS).tolist() == small.answers(second.network, ROWS).tolist()
        assert not first.recovery.anomalies


def test_what_an_interrupt_left_is_not_recovered_on_somebody_elses_board(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    board = EmulatedBoard()
    with make(board=board) as first:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(board, "wait", interrupted)
            first.predict(ROWS)
        board.reset()
        with make(board=board, net=small.network(seed=2)) as second:
            with pytest.raises(BoardTakenError):
                first.predict(ROWS)
            assert second.predict(ROWS).tolist() == small.answers(second.network, ROWS).tolist()


def test_memory_that_runs_out_is_an_error_of_its_call_alone():
    plan = FaultPlan(faults=[Fault("no memory", 0)])
    plan.active = False
    for policy in ("retry", "strict", "canary"):
        with make(policy, EmulatedBoard(faults=plan)) as classifier:
            plan.active = True
            with pytest.raises(BoardError, match="contiguous memory"):
                classifier.predict(ROWS)
            plan.active = False
            plan = FaultPlan(faults=[Fault("no memory", 0)])
            plan.active = False
            assert classifier.predict(ROWS).tolist() == WANTED.tolist() and classifier.recovery.results == 60


class Interrupter:
    """Raises at the `at`-th call or return from C in the package's code: where CPython looks for signals."""

    def __init__(self, at, error=KeyboardInterrupt):
        self.left, self.error, self.injected = at, error, False

    def __call__(self, frame, event, argument):
        if event not in ("call", "c_return") or "qnn_pynq" not in frame.f_code.co_filename or self.injected:
            return
        if frame.f_code.co_name == "free" and "memory" in frame.f_code.co_filename:
            return  # the book-keeping of memory that no board has
        self.left -= 1
        if self.left < 0:
            self.injected = True
            sys.setprofile(None)
            raise self.error()


def _interrupted(call, at, error=KeyboardInterrupt):
    """(whether the interrupt came, the answer if it came too late)."""
    interrupter = Interrupter(at, error)
    sys.setprofile(interrupter)
    try:
        answer = call()
    except error:
        return True, None
    finally:
        sys.setprofile(None)
    return interrupter.injected, answer


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
@pytest.mark.parametrize("policy", ["retry", "strict", "none", Policy("strict", agree="again")],
                         ids=["retry", "strict", "none", "again"])
def test_an_interrupt_anywhere_in_a_run_leaves_a_classifier_that_goes_on(policy, error):
    with make(policy) as classifier:
        classifier.predict(ROWS)
        for at in range(10_000):
            rows = ROWS[:5] if at % 2 else ROWS[at % 60]
            injected, answer = _interrupted(lambda: classifier.predict(rows), at // 2, error)  # noqa: B023
            if policy == "none" and classifier.engine.state != "ready":
                with pytest.raises(BoardError, match="load a network"):
                    classifier.predict(ROWS[:3])
                classifier.load(NET)
            assert classifier.predict(ROWS[:3]).tolist() == WANTED[:3].tolist()
            if not injected and at % 2:
                break
        assert at > 60  # it was interrupted in more than thirty places of each kind of run
        board = classifier.board
    assert board.memory.used == 0 and board.owner is None


@pytest.mark.parametrize("policy", ["retry", "none"])
def test_an_interrupt_anywhere_in_a_load_or_a_close_leaves_nothing_behind(policy):
    board, other = EmulatedBoard(), small.network(seed=2)
    with make(policy, board) as classifier:
        for at in range(0, 10_000, 5):
            injected, _ = _interrupted(lambda: classifier.load(other), at)
            classifier.load(NET)
            assert classifier.predict(ROWS[:3]).tolist() == WANTED[:3].tolist()
            if not injected:
                break
        assert at > 100
    nets = [dataclasses.replace(small.network(lfc.overlay(kind), 1), overlays=("bnn-pynq-lfc-" + kind,))
            for kind in ("w1a1", "w1a2")]
    with Classifier(nets[0], board, policy=policy, takeover=False) as classifier:
        rows = small.pictures(2, nets[0])
        for at in range(0, 10_000, 90):  # each takes another engine
            injected, _ = _interrupted(lambda: classifier.load(nets[1]), at)
            classifier.load(nets[0])
            assert classifier.predict(rows).tolist() == small.answers(nets[0], rows).tolist()
            if not injected:
                break
    for at in range(10_000):
        classifier = make(policy, board)
        classifier.predict(ROWS)
        injected, _ = _interrupted(classifier.close, at)
        classifier.close()
        assert board.memory.used == 0 and board.owner is None
        if not injected:
            break
    assert at > 10


def test_an_interrupt_anywhere_in_a_stream_loses_and_doubles_nothing():
    with make() as classifier:
        for at in range(0, 10_000, 7):
            stream = classifier.stream(iter(ROWS[:9]), batch_size=2, ahead=1)
            found = [next(stream).index]
            injected, _ = _interrupted(lambda: found.extend(answer.index for answer in stream), at)  # noqa: B023
            found += [answer.index for answer in stream]
            assert found == WANTED[: stream.taken].tolist() and stream.frames == len(found)
            if not injected:
                break
        assert at > 70 and len(found) == 9


def test_a_close_from_another_thread_ends_a_call_that_waits():
    class Patient(EmulatedBoard):
        waiting = threading.Event()

        def skip(self, attempt, left):
            self.waiting.set()
            super().skip(attempt, left)

    board = Patient(clock=RealClock())
    classifier = make(board=board, timeout=60.0)
    board.twin.inject(hangs)
    found = []

    def ask():
        try:
            classifier.predict(ROWS)
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert board.waiting.wait(10)
    begun = time.monotonic()
    classifier.close()
    thread.join(10)
    assert time.monotonic() - begun < 5 and [type(error) for error in found] == [ClosedError]
    assert board.memory.used == 0 and board.owner is None and not board.closed
    with make(board=board) as other:
        assert other.predict(ROWS).tolist() == WANTED.tolist()
    with pytest.raises(ClosedError):
        classifier.predict(ROWS)


def test_buffers_of_a_run_that_cannot_be_aborted_live_until_the_logic_is_configured_again():
    board = Broken(hangs)
    used = []
    reset = board.reset
    board.reset = lambda: (used.append(board.memory.used), reset())
    with make("none", board) as classifier:
        board.armed = True
        with pytest.raises(DeadlineError):
            classifier.predict(ROWS)
        assert board.in_flight is classifier.engine.driver and board.memory.used > 0
        board.armed = False
        classifier.load(NET)
        assert used[0] > 0 and board.in_flight is None


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_classifier_cannot_be_pickled_and_says_what_to_do(duplicate):
    with make() as classifier, pytest.raises(TypeError, match="network's name") as caught:
        duplicate(classifier)
    assert isinstance(caught.value, NotPicklableError) and isinstance(caught.value, QnnError)


def test_the_guard_is_made_by_the_policy():
    with make() as classifier:
        assert isinstance(classifier._guard, Guard) and classifier._guard.policy.name == "retry"
        assert classifier.engine is classifier._guard.engine and classifier.engine.name == "emulated board"
        assert classifier.profile(ROWS[0]).network == NET.name
    with make("none", once("hang")) as classifier:
        go(classifier)
        with pytest.raises(DeadlineError):
            classifier._guard.run(ROWS)
        assert not classifier.recovery.events


# -- loads that fail or break off ------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["none", "retry", "strict", Policy("strict", agree="again")],
                         ids=["none", "retry", "strict", "again"])
def test_a_load_that_is_refused_leaves_the_former_network(policy):
    bad = dataclasses.replace(NET, decode=dataclasses.replace(NET.decode, levels=9))
    with make(policy) as classifier:
        with pytest.raises(UnsupportedNetworkError):
            classifier.load(bad)
        assert classifier._guard.network is NET and classifier.predict(ROWS).tolist() == WANTED.tolist()


def test_a_load_that_breaks_off_behind_the_board_leaves_no_network(monkeypatch):
    """The logic has the new network then, and the classifier still decodes the former one's answers."""
    def interrupted(_):
        raise KeyboardInterrupt

    other = small.network(seed=2)
    with make("strict") as classifier:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("qnn_pynq.reliability.guard._software", interrupted)
            classifier.load(other)
        assert classifier.engine.state == "failed" and classifier._guard.network is None
        with pytest.raises(NotReadyError, match="load a network"):
            classifier.predict(ROWS)
        classifier.load(other)
        assert classifier.predict(ROWS).tolist() == small.answers(other, ROWS).tolist()


def test_in_software_a_load_that_fails_leaves_the_former_network():
    layer = dataclasses.replace(NET.layers[0], weights=NET.layers[0].weights[:-1])
    with Classifier(NET, board="cpu") as classifier:
        with pytest.raises(KernelError):
            classifier.load(dataclasses.replace(NET, layers=(layer, *NET.layers[1:])))
        assert classifier._guard.network is NET and classifier.predict(ROWS).tolist() == WANTED.tolist()


def test_an_interrupt_while_the_processor_takes_over_leaves_one_or_the_other(monkeypatch):
    for where in ("_software", "Guard._note"):
        board = Broken(hangs)
        with make(Policy(on_alarm="cpu", alarm_after=1), board) as classifier:
            board.armed = True
            noted = Guard._note

            def interrupted(*arguments, noted=noted):
                if len(arguments) > 2 and arguments[1] != "alarm":
                    return noted(*arguments)
                raise KeyboardInterrupt

            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr("qnn_pynq.reliability.guard." + where, interrupted)
                classifier.predict(ROWS)
            assert (classifier._guard.given_up is None) == (classifier.engine.name == "emulated board")
            assert classifier.predict(ROWS).tolist() == WANTED.tolist()
            board.armed = False
            classifier.load(NET)
            assert classifier.predict(ROWS).tolist() == WANTED.tolist() and classifier.engine.name == board.name
        assert board.memory.used == 0
