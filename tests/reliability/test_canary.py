"""Known inputs: where they come from, what they notice, and the choice by flips."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import lfc
import numpy as np
import pytest
import small
from small_conv import small_network

from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.catalogue import find_network
from qnn_pynq.engines import SoftwareEngine
from qnn_pynq.errors import InputError, WrongAnswerError
from qnn_pynq.networks import load_network, save_network
from qnn_pynq.networks.summary import weights_digest
from qnn_pynq.reliability.answers import Answers
from qnn_pynq.reliability.canary import CANARY_FILE, Canary, answered
from qnn_pynq.reliability.canary_choice import (
    Flip,
    candidates,
    choose,
    detections,
    flip_bit,
    measure,
    sample_flips,
    write,
)
from qnn_pynq.reliability.policy import Policy

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import choose_canary  # noqa: E402

NET = small.network(seed=1)
CONV = small_network(0)


def _check(known, network):
    with SoftwareEngine() as engine:
        engine.load(network)
        known.check(engine)


# -- known inputs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [NET, CONV], ids=["dense", "convolutions"])
def test_a_network_that_brings_none_gets_random_ones(network):
    known = Canary(network)
    assert known.source == "random" and len(known) == 16
    _check(known, network)
    with pytest.raises(WrongAnswerError, match="of 16 known inputs"):
        _check(known, small.network(seed=2) if network is NET else small_network(1))


SHIPPED = sorted(path.name for path in Path(__file__).parents[2].glob("params/*") if (path / "network.json").is_file())


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_networks_bring_chosen_inputs(name):
    """After a new training: ``python tools/choose_canary.py NAME``."""
    network = find_network(name)
    known = Canary(network)
    assert known.source == "chosen" and len(known) == (8 if name.startswith("dorefa") else 256)
    _check(known, network)


def test_without_chosen_inputs_the_self_test_is_taken():
    network = dataclasses.replace(find_network("lfc-w1a1-mnist"), path=find_network("lfc-w1a2-mnist").path)
    assert Canary(network).source == "self-test"  # the chosen inputs there are for other weights


def test_given_answers_are_asked_as_they_are():
    rows = small.pictures(3, NET)
    known = Canary(NET, Answers(rows, small.words(NET, rows), "words", len(NET.layers)))
    assert known.source == "given" and len(known) == 3
    _check(known, NET)
    words = small.words(NET, rows) ^ np.array([0, 0, 1], np.uint64)
    wrong = Canary(NET, Answers(rows, words, "words", len(NET.layers)))
    with pytest.raises(WrongAnswerError, match="1 of 3"):
        _check(wrong, NET)
    with SoftwareEngine() as engine:
        engine.load(NET)
        wrong.check(engine, most=2)


def test_chosen_inputs_are_read_where_the_weights_are_theirs(tmp_path, caplog):
    network = load_network(save_network(dataclasses.replace(small.network(lfc.overlay("w1a2"), 3), name="mine",
                                                            title="mine"), tmp_path / "mine"))
    rows = small.pictures(5, network, 9)
    write(network, rows, network.path / CANARY_FILE)
    known = Canary(network)
    assert known.source == "chosen" and np.array_equal(known.answers.pictures, rows)
    _check(known, network)
    layer = dataclasses.replace(network.layers[0], weights=~network.layers[0].weights)
    retrained = dataclasses.replace(network, layers=(layer, *network.layers[1:]))
    assert weights_digest(retrained) != weights_digest(network)
    assert Canary(retrained).source == "random" and "other weights" in caplog.text
    for text in (b"", b"no zip at all", b"PK\3\4"):
        (network.path / CANARY_FILE).write_bytes(text)
        assert Canary(network).source == "random"


# -- the choice ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [NET, CONV], ids=["dense", "convolutions"])
def test_flips_lie_in_what_the_overlay_holds_and_change_one_bit(network):
    seen = set()
    for flip in sample_flips(network, 200, 4):
        seen.add((flip.layer, flip.thresholds))
        changed, layer = flip_bit(network, flip).layers[flip.layer], network.layers[flip.layer]
        name = "thresholds" if flip.thresholds else "weights"
        before, after = getattr(layer, name), getattr(changed, name)
        if flip.thresholds:
            before, after = before.astype(np.int16).view(np.uint16), after.astype(np.int16).view(np.uint16)
        assert sum(bin(int(bits)).count("1") for bits in (before ^ after).reshape(-1)) == 1
        assert np.array_equal(np.flatnonzero((before != after).reshape(len(before), -1).any(axis=1)), [flip.output])
        assert flip_bit(flip_bit(network, flip), flip).layers[flip.layer].weights.tobytes() == layer.weights.tobytes()
    weights = {layer for layer, thresholds in seen if not thresholds}
    assert weights == ({0, 1} if network is NET else {1, 3}) and any(thresholds for _, thresholds in seen)


@pytest.mark.parametrize("network", [NET, CONV], ids=["dense", "convolutions"])
def test_detections_are_what_a_board_with_that_flip_answers(network):
    rows = small.pictures(20, network, 3)
    flips = sample_flips(network, 6, 1)
    found = detections(network, rows, flips)
    right = answered(network, rows)
    for flip, row in zip(flips, found):
        board = answered(flip_bit(network, flip), rows)
        assert right.kind == board.kind == ("words" if network is NET else "codes")
        differs = board.values != right.values
        assert np.array_equal(row, differs if network is NET else differs.any(axis=(1, 2, 3)))
    assert found.any() and not found.all()


def test_the_twin_with_a_flipped_bit_answers_as_the_flipped_network():
    flip = Flip(1, False, 5, 3)  # neuron 5 of the tiny circuit's second layer: PE 5, fold 0; synapse 3: word 0, bit 3
    rows = small.pictures(30, NET, 3)
    with Classifier(NET, EmulatedBoard(), overlay=lfc.tiny(), policy="none") as classifier:
        classifier.board.twin.weights[1][5, 0] ^= np.uint64(1 << 3)
        classifier.board.twin._stack = None
        words = classifier.engine.run(rows).values
    assert np.array_equal(words, answered(flip_bit(NET, flip), rows).values)
    assert not np.array_equal(words, small.words(NET, rows))


def test_the_greedy_choice_covers_what_can_be_covered():
    detected = np.zeros((6, 5), bool)
    detected[[0, 1, 2], 1] = detected[[2, 3], 3] = detected[[4], 0] = detected[[0, 1], 2] = True
    assert choose(detected, 3) == [1, 3, 0] or choose(detected, 3) == [1, 0, 3]
    assert sorted(choose(detected, 9)) == [0, 1, 2, 3, 4]


def test_chosen_inputs_notice_more_than_as_many_others():
    pool, flips = candidates(NET, 200), sample_flips(NET, 150)
    found = detections(NET, pool, flips)
    chosen = pool[choose(found, 8)]
    assert found[:, choose(found, 8)].any(axis=1).sum() > found[:, :8].any(axis=1).sum()
    rates = measure(NET, chosen, sample_flips(NET, 100, 1), small.pictures(50, NET))
    assert rates.flips == 100 and 0 < rates.escaped <= rates.harmful <= 1 and 0 < rates.detected < 1


def test_the_command_writes_a_file_that_a_classifier_takes(tmp_path, capsys):
    path = save_network(dataclasses.replace(NET, name="mine", title="mine"), tmp_path / "mine")
    choose_canary.main([str(path), "--inputs", "4", "--candidates", "40", "--flips", "30"])
    assert "4 inputs of 40 candidates" in capsys.readouterr().out
    network = load_network(path)
    policy = Policy("canary", every_pictures=3)
    with Classifier(network, EmulatedBoard(), overlay=lfc.tiny(), policy=policy) as classifier:
        classifier.predict(small.pictures(9, network))
        assert classifier.recovery.canaries == 3 and len(classifier._guard._canaries()) == 4


def test_a_network_without_a_folder_needs_a_place_for_the_file(monkeypatch):
    monkeypatch.setattr(choose_canary, "find_network", lambda _: NET)
    with pytest.raises(InputError, match="--out"):
        choose_canary.main(["mine"])
