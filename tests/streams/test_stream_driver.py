"""Networks on circuits with streams: a `Classifier` runs them as it runs ours."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import oracle_conv
import pytest
import small_conv

from qnn_pynq import Classifier, EmulatedBoard
from qnn_pynq.errors import BoardBusyError, BoardError, DeadlineError, InputError, UnsupportedNetworkError
from qnn_pynq.streams.circuit import StreamCircuit, make_circuit
from qnn_pynq.streams.driver import StreamDriver

NETWORK = dataclasses.replace(small_conv.small_network(0), overlays=("foreign",))


def circuit(gives: dict[str, Any], takes: Any = None, **more: Any) -> StreamCircuit:
    return make_circuit({
        "format": "qnn-pynq-streams", "version": 1, "name": "foreign",
        "inputs": [takes or {"name": "pixels", "type": "ap_uint<8>", "shape": [16, 16, 3]}], "outputs": [gives], **more,
    })


CODES = {"name": "codes", "type": "ap_uint<2>", "shape": [4, 4, 40]}
SCORES = {"name": "scores", "type": "double", "shape": [5]}


def pictures(count: int) -> np.ndarray:
    return np.random.RandomState(count).randint(0, 256, (count, NETWORK.input.pixels)).astype(np.uint8)


@pytest.mark.parametrize("gives, kind", [(CODES, "codes"), (SCORES, "scores")])
def test_a_classifier_runs_a_network_on_a_foreign_circuit(gives, kind):
    rows = pictures(7)
    with Classifier(NETWORK, board="cpu") as software:
        wanted, scores = software.predict(rows), software.decision_function(rows)
    with Classifier(NETWORK, board="emulated", overlay=circuit(gives)) as classifier:
        assert classifier.engine.kind == kind
        assert classifier.predict(rows).tolist() == wanted.tolist()
        assert np.array_equal(classifier.decision_function(rows), scores)
        assert classifier.predict(rows[:1]).tolist() == wanted[:1].tolist()
        assert [answer.index for answer in classifier.stream(list(rows.reshape(7, 16, 16, 3)), batch_size=3)] == (
            wanted.tolist())


def test_the_circuit_gives_what_plain_numpy_gives():
    rows = pictures(3)
    wanted = oracle_conv.forward(list(NETWORK.layers[:-1]), rows.reshape(3, 16, 16, 3))
    with Classifier(NETWORK, board="emulated", overlay=circuit(CODES)) as classifier:
        assert np.array_equal(classifier.features(rows), wanted)


def test_layers_in_front_run_on_the_processor():
    part = small_conv.small_network(0).layers[0]
    takes = {"name": "maps", "type": "ap_uint<2>", "shape": list(NETWORK.signals[1].shape)}
    split = StreamDriver.split(NETWORK, circuit(CODES, takes))
    assert len(split.before) == 1 and split.before[0].outputs == part.outputs
    assert len(split.logic) == 3 and len(split.after) == 1
    rows = pictures(4)
    with Classifier(NETWORK, board="cpu") as software, Classifier(
            NETWORK, board="emulated", overlay=circuit(CODES, takes)) as classifier:
        assert classifier.predict(rows).tolist() == software.predict(rows).tolist()


@pytest.mark.parametrize("gives, takes, name, words", [
    (dict(CODES, shape=[4, 4, 39]), None, "foreign", "codes of the second shape|codes, sums or scores"),
    (dict(CODES, type="ap_uint<1>"), None, "foreign", "expected pixels or codes"),
    (CODES, {"name": "pixels", "type": "ap_uint<7>", "shape": [16, 16, 3]}, "foreign", "expected pixels or codes"),
    (CODES, None, "other", "does not name it"),
])
def test_a_circuit_that_does_not_fit_is_refused_before_a_board_is_opened(gives, takes, name, words, monkeypatch):
    monkeypatch.setattr("qnn_pynq.classifier.classifier.open_board", lambda _: pytest.fail("a board was opened"))
    with pytest.raises(UnsupportedNetworkError, match=words):
        Classifier(dataclasses.replace(NETWORK, overlays=(name,)), board="emulated", overlay=circuit(gives, takes))


def test_a_circuit_of_several_inputs_is_for_streams():
    made = make_circuit({"format": "qnn-pynq-streams", "version": 1, "name": "foreign",
                         "inputs": [{"name": name, "type": "ap_uint<8>", "shape": [16, 16, 3], "dma": f"axi_dma_{name}"}
                                    for name in "ab"],
                         "outputs": [dict(CODES, dma="axi_dma_a")]})
    with pytest.raises(UnsupportedNetworkError, match="2 inputs and 1 outputs"):
        StreamDriver.split(NETWORK, made)


@pytest.fixture
def driver():
    with EmulatedBoard() as board:
        made = StreamDriver(board, circuit(CODES))
        made.load(NETWORK)
        yield made
        made.close()
        assert board.owner is None and board.memory.used == 0


def test_illegal_requests(driver):
    rows = pictures(2).reshape(2, 16, 16, 3)
    with pytest.raises(InputError, match="0 were put"):
        driver.start(1)
    with pytest.raises(BoardError, match="no run in flight"):
        driver.finish()
    for wrong in (rows.astype(np.int16), rows[:, :8], rows.tolist()):
        with pytest.raises(InputError, match="expected uint8"):
            driver.put(wrong)
    driver.put(rows)
    driver.start(2)
    for call in (lambda: driver.put(rows), lambda: driver.start(1), driver.free, lambda: driver.load(NETWORK)):
        with pytest.raises(BoardBusyError):
            call()
    assert driver.finish().shape == (2, 4, 4, 40)


def test_a_circuit_that_hangs_meets_a_deadline_and_answers_after_a_new_load(driver):
    rows = pictures(2).reshape(2, 16, 16, 3)
    driver.put(rows)
    wanted = (driver.start(2), driver.finish())[1].copy()
    driver.board.twin.inject(lambda twin, event, value: float("inf") if event == "duration" else value)
    driver.put(rows)
    driver.start(2)
    with pytest.raises(DeadlineError):
        driver.finish(0.01)
    with pytest.raises(BoardError, match="broken off"):
        driver.put(rows)
    driver.board.twin.clear_injected()
    driver.load(NETWORK)
    driver.put(rows)
    driver.start(2)
    assert np.array_equal(driver.finish(), wanted)
