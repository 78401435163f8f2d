"""Classifier and everything behind it with a family and layer types that the library does not know."""
from __future__ import annotations

from pathlib import Path

import make_mirror_data
import mirror_oracle
import numpy as np
import pytest

from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.catalogue import find_network
from qnn_pynq.errors import AlarmDeadlineError, AlarmError, BoardError, BoardTakenError, DeadlineError, WrongAnswerError
from qnn_pynq.faults import Fault, FaultPlan
from qnn_pynq.networks import load_network, save_network
from qnn_pynq.reliability import canary_choice
from qnn_pynq.reliability.canary import CANARY_FILE, Canary
from qnn_pynq.reliability.policy import Policy

NETWORKS = ("mirror-marks", "plain-marks")
BOARDS = ("emulated", "cpu")


def pictures(count: int = 40, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """(pictures, what they were made of), as the networks' templates are."""
    return mirror_oracle.noisy(mirror_oracle.glyphs(), count, seed)


def scores(name: str, rows: np.ndarray) -> np.ndarray:
    """By the oracle, from the files alone."""
    folder = find_network(name).path
    if name == "plain-marks":
        found = [np.load(str(folder / f"layer0-{part}.npy")) for part in ("templates", "offsets")]
        return mirror_oracle.sums(rows, *found).astype(np.float64)
    found = [np.load(str(folder / f"layer1-{part}.npy")) for part in ("templates", "offsets")]
    sums = mirror_oracle.sums(mirror_oracle.mirrored(rows), *found)
    return sums * np.load(str(folder / "layer2-factors.npy")).astype(np.float64)


def test_the_plug_ins_data_are_what_its_script_writes(tmp_path: Path, data: Path) -> None:
    make_mirror_data.main(tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert made == sorted(path.relative_to(data) for path in data.rglob("*") if path.is_file())
    for path in made:
        if path.suffix == ".npz":
            with np.load(str(tmp_path / path)) as one, np.load(str(data / path)) as other:
                assert set(one.files) == set(other.files)
                assert all(np.array_equal(one[name], other[name]) for name in one.files)
        else:
            assert (tmp_path / path).read_bytes() == (data / path).read_bytes(), path


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("board", BOARDS)
def test_answers_are_the_oracles(name: str, board: str) -> None:
    rows, labels = pictures()
    expected = scores(name, rows)
    with Classifier(name, board=board) as classifier:
        assert np.array_equal(classifier.predict(rows), expected.argmax(axis=1))
        assert np.array_equal(classifier.predict(rows[0]), expected[:1].argmax(axis=1))
        found = classifier.decision_function(rows)
        assert np.array_equal(found, expected)
        likely = classifier.predict_proba(rows)
        powers = np.exp(0.002 * (expected - expected.max(axis=1, keepdims=True)))
        assert np.allclose(likely, powers / powers.sum(axis=1, keepdims=True))
        assert classifier.score(rows, expected.argmax(axis=1)) == 1.0
        answer = classifier.classify(rows[3])
        assert answer.label == make_mirror_data.NAMES[int(expected[3].argmax())] and answer.fired
        assert np.array_equal(answer.scores, expected[3]) and answer.probability is not None
        assert [one.index for one in classifier.classify_many(list(rows))] == expected.argmax(axis=1).tolist()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [1, 16])
def test_a_stream_answers_in_order(name: str, batch: int) -> None:
    rows, _ = pictures(37)
    expected = scores(name, rows).argmax(axis=1).tolist()
    with Classifier(name, board="emulated") as classifier, classifier.stream(iter(rows), batch_size=batch) as stream:
        assert [one.index for one in stream] == expected


def test_batches_larger_than_the_circuit_takes_are_cut() -> None:
    rows, _ = pictures(500)
    with Classifier("mirror-marks", board="emulated") as classifier:
        assert np.array_equal(classifier.decision_function(rows), scores("mirror-marks", rows))


def test_evaluate_counts_and_compares() -> None:
    rows, labels = pictures(60)
    expected = scores("mirror-marks", rows).argmax(axis=1)
    with Classifier("mirror-marks", board="emulated") as classifier:
        found = classifier.evaluate(rows, labels, compare=True)
    assert found.accuracy == (expected == labels).mean() and found.unfired == 0
    assert found.differing == 0 and found.software is not None
    assert {"preprocess", "first layer", "pack", "transfer", "accelerator", "emulation", "tail"} <= set(found.stages)
    assert found.confusion.sum() == 60 and found.accelerator_is_modelled


@pytest.mark.parametrize("name", NETWORKS)
def test_a_profile_has_every_layer_where_it_runs(name: str) -> None:
    rows, _ = pictures(4)
    with Classifier(name, board="emulated") as classifier:
        found = classifier.profile(list(rows), repeats=2)
    places = {"mirror": "software", "absdiff0": "overlay", "weigh0": "software tail"}
    wanted = ["mirror0", "absdiff0", "weigh0"] if name == "mirror-marks" else ["absdiff0"]
    assert [row.name for row in found.rows] == wanted
    assert [row.where for row in found.rows] == [places.get(row, "software") for row in wanted]
    assert found.modelled and found.rows[-1 if len(wanted) == 1 else 1].macs == 5 * 64
    # 200 cycles and 64 a template and picture at 100 MHz, besides register accesses.
    seconds = next(row.logic_seconds for row in found.rows if row.where == "overlay")
    least = (200 / 4 + 5 * 64) * 1e-8
    assert least <= seconds < least + 10e-6
    assert "absdiff0" in str(found)


def test_a_profile_in_software_has_no_logic() -> None:
    with Classifier("mirror-marks", board="cpu") as classifier:
        found = classifier.profile(pictures(1)[0][0], repeats=1)
    assert [row.where for row in found.rows] == ["software", "software", "software tail"]


def test_networks_and_boards_are_exchanged() -> None:
    rows, _ = pictures()
    with EmulatedBoard() as board, Classifier("mirror-marks", board=board) as classifier:
        generation = board.generation
        classifier.load("plain-marks")
        assert board.generation == generation  # the same overlay
        assert np.array_equal(classifier.decision_function(rows), scores("plain-marks", rows))
        classifier.load("lfc-w1a1-mnist")
        assert board.loaded.kind == "bnn-pynq"
        classifier.load("mirror-marks")
        assert np.array_equal(classifier.decision_function(rows), scores("mirror-marks", rows))
        with Classifier("lfc-w1a1-mnist", board=board):
            with pytest.raises(BoardTakenError):
                classifier.predict(rows)


def test_a_network_is_saved_as_it_was(tmp_path: Path) -> None:
    for name in NETWORKS:
        network = find_network(name)
        again = load_network(save_network(network, tmp_path / name))
        rows, _ = pictures(8)
        with Classifier(again, board="cpu") as classifier:
            assert np.array_equal(classifier.decision_function(rows), scores(name, rows))


def test_calibration_measures_the_circuit() -> None:
    with Classifier("mirror-marks", board="emulated") as classifier:
        found = classifier.calibrate(runs=3)
    assert found.source == "measured" and 0 < found.model <= found.median < 2 * found.model


# -- when the hardware does wrong -------------------------------------------------------------------------


POLICIES = {
    "none": Policy("none"),
    "retry": Policy("retry"),
    "canary": Policy("canary", every_pictures=20),
    "reload": Policy("reload", every_pictures=20),
    "strict cpu": Policy("strict"),
    "strict again": Policy("strict", agree="again"),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("policy", list(POLICIES))
def test_every_policy_gives_right_answers_where_nothing_goes_wrong(name: str, policy: str) -> None:
    rows, _ = pictures(50)
    with Classifier(name, board="emulated", policy=POLICIES[policy]) as classifier:
        assert np.array_equal(classifier.decision_function(rows), scores(name, rows))
        assert [int(classifier.predict(row)[0]) for row in rows[:3]] == scores(name, rows[:3]).argmax(axis=1).tolist()
        recovery = classifier.recovery
    assert recovery.results == (0 if policy == "none" else 53) and not recovery.anomalies  # "none" counts nothing
    assert recovery.canaries == (2 if policy == "canary" else 0)
    assert (recovery.reloads > 0) == (policy in ("reload", "strict again"))


@pytest.mark.parametrize("kind", ["hang", "early done", "done without data", "lost done", "bus error", "reprogrammed"])
@pytest.mark.parametrize("policy", [name for name in POLICIES if name != "none"])
def test_every_policy_recovers_from_what_is_noticed(policy: str, kind: str) -> None:
    rows, _ = pictures(30)
    plan = FaultPlan(faults=[Fault(kind, 3), Fault(kind, 9)])
    with EmulatedBoard(faults=plan) as board, Classifier("mirror-marks", board, policy=POLICIES[policy]) as classifier:
        for begin in range(0, 30, 5):
            part = rows[begin : begin + 5]
            assert np.array_equal(classifier.decision_function(part), scores("mirror-marks", part))
        assert plan.counts[kind] and sum(classifier.recovery.anomalies.values()) == classifier.recovery.recoveries > 0
    assert board.memory.used == 0 and board.owner is None


@pytest.mark.parametrize("policy", ["strict cpu", "strict again"])
def test_strict_lets_no_wrong_result_out(policy: str) -> None:
    rows, _ = pictures(60)
    plan = FaultPlan(seed=3, rate=0.2, kinds=["corrupt word", "flip weight"])
    chosen = POLICIES[policy]
    policy_ = Policy("strict", agree=chosen.agree, attempts=20, alarm_after=20)
    plan.active = False
    with EmulatedBoard(faults=plan) as board, Classifier("mirror-marks", board, policy=policy_) as classifier:
        plan.active = True
        for row in rows:
            found = classifier.decision_function(row[None])
            assert np.array_equal(found, scores("mirror-marks", row[None]))
        assert sum(plan.counts.values()) and classifier.recovery.anomalies.get("wrong answer", 0)


def test_canaries_notice_templates_that_have_changed() -> None:
    rows, _ = pictures(60)
    plan = FaultPlan(faults=[Fault("flip weight", 2, place=64 * 2 + 7 + 320 * 8)])
    with EmulatedBoard(faults=plan) as board:
        with Classifier("plain-marks", board, policy=Policy("canary", every_pictures=10)) as classifier:
            for row in rows:
                classifier.predict(row)
            assert classifier.recovery.anomalies == {"wrong answer": 1} and classifier.recovery.unverified
            found = classifier.decision_function(rows)
    assert np.array_equal(found, scores("plain-marks", rows))


def test_none_raises_and_a_load_begins_anew() -> None:
    rows, _ = pictures()
    plan = FaultPlan(faults=[Fault("hang", 1)])
    with EmulatedBoard(faults=plan) as board, Classifier("mirror-marks", board, policy="none") as classifier:
        with pytest.raises(DeadlineError):
            classifier.predict(rows)
        classifier.load("mirror-marks")
        assert np.array_equal(classifier.decision_function(rows), scores("mirror-marks", rows))


@pytest.mark.parametrize("kind, error", [("hang", AlarmDeadlineError), ("bus error", AlarmError)])
def test_a_board_that_stays_broken_ends_in_an_alarm(kind: str, error: type) -> None:
    plan = FaultPlan(rate=1.0, kinds=[kind])
    plan.active = False
    with EmulatedBoard(faults=plan) as board, Classifier("mirror-marks", board) as classifier:
        plan.active = True
        with pytest.raises(error):
            classifier.predict(pictures()[0])


def test_the_processor_goes_on_after_an_alarm() -> None:
    rows, _ = pictures()
    plan = FaultPlan(rate=1.0, kinds=["hang"])
    plan.active = False
    policy = Policy("retry", on_alarm="cpu")
    with EmulatedBoard(faults=plan) as board, Classifier("mirror-marks", board, policy=policy) as classifier:
        classifier.predict(rows)
        plan.active = True
        assert np.array_equal(classifier.decision_function(rows), scores("mirror-marks", rows))
        assert classifier.engine.name == "cpu" and classifier.recovery.alarms == 1
        assert np.array_equal(classifier.predict_proba(rows[:2]).argmax(axis=1), classifier.predict(rows[:2]))


def test_a_campaign_leaves_no_wrong_answer_and_no_buffer() -> None:
    """Every fault that a run shows, at random."""
    rows, _ = pictures(200, 9)
    expected = scores("mirror-marks", rows)
    kinds = ["hang", "lost done", "early done", "done without data", "bus error", "reprogrammed", "no memory", "slow",
             "corrupt word", "flip weight"]
    plan = FaultPlan(seed=4, rate=0.05, kinds=kinds)
    policy = Policy("strict", attempts=10, alarm_after=10)
    plan.active = False
    with EmulatedBoard(faults=plan) as board:
        with Classifier("mirror-marks", board, policy=policy) as classifier:
            plan.active = True
            for begin in range(0, 200, 2):
                try:
                    found = classifier.decision_function(rows[begin : begin + 2])
                except BoardError:  # of memory, or an alarm
                    plan.active = False
                    classifier.load("mirror-marks")
                    plan.active = True
                    continue
                assert np.array_equal(found, expected[begin : begin + 2])
            plan.active = False
        assert board.memory.used == 0 and board.owner is None
    assert sum(plan.counts.values()) > 5


# -- known answers ----------------------------------------------------------------------------------------


def test_known_inputs_are_the_self_tests_until_some_are_chosen(tmp_path: Path) -> None:
    network = find_network("mirror-marks")
    assert Canary(network).source == "self-test"
    own = load_network(save_network(network, tmp_path / "own"))
    flips = canary_choice.sample_flips(own, 60, 1)
    assert {flip.layer for flip in flips} == {1}
    rows = canary_choice.candidates(own, 40)
    noticed = canary_choice.detections(own, rows, flips)
    assert noticed.any() and noticed.shape == (60, len(rows))
    chosen = rows[canary_choice.choose(noticed, 8)]
    canary_choice.write(own, chosen, own.path / CANARY_FILE)
    again = Canary(load_network(own.path))
    assert again.source == "chosen" and len(again) == 8
    with Classifier(own, board="emulated") as classifier:
        again.check(classifier.engine)
    spoilt = canary_choice.flip_bit(own, canary_choice.Flip(1, False, 2, 7))
    with Classifier(spoilt, board="emulated") as classifier, pytest.raises(WrongAnswerError):
        again.check(classifier.engine)
