"""Known answers beside what an engine gives, wherever in the network each of the two ends."""

from __future__ import annotations

import dataclasses

import numpy as np
import oracle_conv
import pytest
import small
from small_conv import small_network

from qnn_pynq.engines import EngineResult, SoftwareEngine
from qnn_pynq.errors import DescriptorError
from qnn_pynq.networks import load_network, save_network
from qnn_pynq.reliability.answers import Answers, differences, known_answers, value_kind
from qnn_pynq.reliability.canary import Canary

NET, CONV = small.network(seed=1), small_network(0)
ROWS = np.random.RandomState(0).randint(0, 256, (5, 16 * 16 * 3)).astype(np.uint8)


def _maps(end):
    """By the oracle, in front of layer `end`."""
    kind = "codes" if end < 5 else "scores"
    return Answers(ROWS, oracle_conv.forward(CONV.layers[:end], ROWS.reshape(5, 16, 16, 3)), kind, end)


@pytest.mark.parametrize("one", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("other", [2, 4, 5])
def test_the_processor_computes_what_one_of_the_two_leaves(one, other):
    assert differences(CONV, _maps(one), _maps(other)) == []
    assert differences(CONV, _maps(other), _maps(one)) == []


def test_a_wrong_code_far_in_front_is_found_behind_it():
    got = _maps(1)
    got.values[3] = 3 - got.values[3]
    (wrong,) = differences(CONV, _maps(4), got)
    assert wrong["picture"] == 3 and "codes differ" in wrong["got"] and " at y " in wrong["expected"]
    (wrong,) = differences(CONV, _maps(5), got)
    assert wrong["picture"] == 3 and wrong["expected"].startswith("score ") and "at output " in wrong["expected"]


def test_words_are_told_in_hexadecimal_and_classes_by_number():
    rows = small.pictures(3, NET)
    words = small.words(NET, rows)
    right = Answers(rows, words, "words", 2)
    spoilt = words.copy()
    spoilt[1] ^= np.uint64(2)
    assert differences(NET, right, Answers.of(rows, EngineResult("words", words, {}, None, 2))) == []
    (wrong,) = differences(NET, right, right._replace(values=spoilt))
    assert wrong == {"picture": 1, "expected": f"0x{int(words[1]):016x}", "got": f"0x{int(spoilt[1]):016x}"}
    first, second = (right._replace(classes=np.array(classes)) for classes in ([1, 2, 3], [1, 2, 4]))
    assert differences(NET, first, second) == [{"picture": 2, "expected": "class 3", "got": "class 4"}]


def test_no_pictures_have_no_differences():
    for net, answers in ((NET, Answers(np.zeros((0, 64), np.uint8), np.zeros(0, np.uint64), "words", 2)),
                         (CONV, _maps(4).part(slice(0, 0)))):
        assert differences(net, answers, answers) == []


def test_a_pair_of_known_inputs_has_different_answers_where_there_are_any():
    rows = small.pictures(6, NET)
    words = small.words(NET, rows)
    repeated = Answers(rows[[0, 0, 0, 1]], words[[0, 0, 0, 1]], "words", 2)
    pair = Canary(NET, repeated).pair()
    assert np.array_equal(pair.pictures, rows[:2]) and pair.values.tolist() == words[:2].tolist()
    same = Canary(NET, repeated.part(slice(0, 3))).pair()
    assert len(same.pictures) == 2 and same.values.tolist() == words[[0, 0]].tolist()
    pair = Canary(CONV, _maps(4)).pair()
    assert len(pair.pictures) == 2 and (pair.values[0] != pair.values[1]).any()


def test_the_file_holds_the_kind_that_stands_in_front_of_the_tail(tmp_path):
    assert value_kind(NET) == ("words", "uint64", (), 2)
    assert value_kind(CONV) == ("codes", "uint8", (4, 4, 40), 4)
    made = tmp_path / "made"
    made.mkdir()
    codes, classes = _maps(4).values, _maps(5).values.argmax(axis=1).astype(np.int64)
    np.savez(str(made / "selftest.npz"), pictures=ROWS, codes=codes, classes=classes)
    network = load_network(save_network(dataclasses.replace(CONV, selftest="selftest.npz", path=made),
                                        tmp_path / "small"))
    found = known_answers(network)
    assert (found.kind, found.end) == ("codes", 4) and np.array_equal(found.values, codes)
    with SoftwareEngine() as engine:
        engine.load(network)
        assert differences(network, found, Answers.of(ROWS, engine.run(ROWS), classes)) == []
    np.savez(str(network.path / "selftest.npz"), pictures=ROWS, words=np.zeros(5, np.uint64), classes=classes)
    with pytest.raises(DescriptorError, match="codes"):
        known_answers(network)
