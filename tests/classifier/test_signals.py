"""Ctrl-C between any two lines of ours: the next call answers right, nothing is lost, nothing leaks."""

from __future__ import annotations

import linecache
import os
import sys

import lfc
import numpy as np
import pytest
import small
import small_conv

import qnn_pynq
from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.errors import QnnError
from qnn_pynq.reliability.policy import Policy

HERE = os.path.dirname(qnn_pynq.__file__)
POLICIES = ("none", "retry", "strict", Policy("strict", agree="again"))
IDS = ("none", "retry", "strict", "again")


class Signal:
    """KeyboardInterrupt at the n-th line of ours; counts them where n is below 0.

    Not at a `with` itself, nor in front of a plain `return`: Python lets no signal in between taking a lock and its
    block, between that and giving it back, or between a last step and a return that does nothing more.
    """

    def __init__(self, n=-1):
        self.left, self.lines, self.came = n, 0, False

    def __enter__(self):
        self._former = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_):
        sys.settrace(self._former)

    def _trace(self, frame, event, argument):
        if not frame.f_code.co_filename.startswith(HERE):
            return None
        text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if event == "line" and not text.startswith("with ") and not ("(" not in text and text.startswith("return")):
            self.lines += 1
            if self.left == 0:
                self.left, self.came = -1, True
                sys.settrace(None)
                raise KeyboardInterrupt(f"line {frame.f_lineno} of {frame.f_code.co_filename}")
            self.left -= 1
        return self._trace


def _case(kind):
    if kind == "dense":
        overlay = lfc.tiny()
        network = small.network(overlay, seed=3)
    else:
        overlay, network = None, small_conv.small_network(2)
    rows = np.random.RandomState(1).randint(0, 256, (5, network.input.pixels)).astype(np.uint8)
    with Classifier(network, board="cpu") as software:
        return network, overlay, rows, software.decision_function(rows)


@pytest.fixture(scope="module")
def cases():
    return {kind: _case(kind) for kind in ("dense", "convolutional")}


def _lines(call):
    with Signal() as signal:
        call()
    return signal.lines


def _ready(classifier, network):
    if classifier.engine.state == "failed":
        classifier.load(network)


def _points(count, most):
    """Every line where there are few, else `most` of them, from the first to the last."""
    return sorted({round(k * (count - 1) / (most - 1)) for k in range(most)}) if count > most else range(count)


@pytest.mark.parametrize("policy", POLICIES, ids=IDS)
@pytest.mark.parametrize("kind, most", [("dense", 120), pytest.param("convolutional", 60, marks=pytest.mark.slow)])
def test_in_a_batch(cases, kind, most, policy):
    network, overlay, rows, right = cases[kind]
    board = EmulatedBoard()
    with Classifier(network, board=board, overlay=overlay, policy=policy) as classifier:
        count = _lines(lambda: classifier.decision_function(rows))
        assert count > 50
        for n in _points(count, most):
            with Signal(n) as signal:
                try:
                    found = classifier.decision_function(rows)
                except KeyboardInterrupt:
                    found = None
            assert signal.came or found is not None, n
            assert found is None or np.allclose(found, right), n
            _ready(classifier, network)
            assert np.allclose(classifier.decision_function(rows), right), n
    assert board.memory.used == 0


@pytest.mark.parametrize("policy", POLICIES, ids=IDS)
@pytest.mark.parametrize("kind, most", [("dense", 60), pytest.param("convolutional", 30, marks=pytest.mark.slow)])
def test_in_a_stream_each_prediction_comes_once(cases, kind, most, policy):
    network, overlay, rows, right = cases[kind]
    board = EmulatedBoard()
    with Classifier(network, board=board, overlay=overlay, policy=policy) as classifier:
        count = _lines(lambda: list(classifier.stream(iter(rows), batch_size=2)))
        for n in _points(count, most):
            found, stream = [], classifier.stream(iter(rows), batch_size=2)
            with Signal(n):
                try:
                    for prediction in stream:
                        found.append(prediction.scores)
                except KeyboardInterrupt:
                    pass
            _ready(classifier, network)
            found += [prediction.scores for prediction in stream]  # what was taken before
            assert len(found) == stream.taken, n
            stream.close()
            assert np.allclose(np.reshape(found, (-1, right.shape[1])), right[:len(found)]), n
    assert board.memory.used == 0


@pytest.mark.parametrize("policy", POLICIES, ids=IDS)
@pytest.mark.parametrize("kind, most", [("dense", 50), pytest.param("convolutional", 50, marks=pytest.mark.slow)])
def test_while_a_network_is_loaded_and_while_a_classifier_is_made_or_closed(cases, kind, most, policy):
    network, overlay, rows, right = cases[kind]
    board = EmulatedBoard()

    def make():
        return Classifier(network, board=board, overlay=overlay, policy=policy)

    first = make()
    loading = _lines(lambda: first.load(network))
    closing = _lines(first.close)
    making = _lines(lambda: make().close())
    for n in _points(making, most):
        made = None
        with Signal(n):
            try:
                made = make()
                made.close()
            except KeyboardInterrupt:
                pass
        if made is not None:
            made.close()  # again, where that was broken off
        board.reset()
        assert board.memory.used == 0, n
    for n in _points(loading, most):
        classifier = make()
        with Signal(n):
            try:
                classifier.load(network)
            except KeyboardInterrupt:
                pass
        _ready(classifier, network)
        assert np.allclose(classifier.decision_function(rows), right), n
        classifier.close()
        assert board.memory.used == 0, n
    for n in _points(closing, most):
        classifier = make()
        classifier.predict(rows)
        with Signal(n):
            try:
                classifier.close()
            except KeyboardInterrupt:
                pass
        classifier.close()
        assert board.memory.used == 0, n
        with pytest.raises(QnnError):
            classifier.predict(rows)


@pytest.mark.parametrize("kind", ["dense", "convolutional"])
def test_while_the_buffers_grow_and_no_closed_one_is_used_afterwards(cases, kind):
    """The memory of a closed buffer is somebody else's."""
    network, overlay, rows, right = cases[kind]
    rows, right = np.repeat(rows, 8, axis=0), np.repeat(right, 8, axis=0)
    board = EmulatedBoard()

    def grow(classifier):
        shape = classifier.engine.driver.input.shape
        return classifier.engine.driver.put(np.zeros((len(rows), *shape), np.uint8))

    with Classifier(network, board=board, overlay=overlay, policy="none") as classifier:
        classifier.predict(rows[:1])
        count = _lines(lambda: grow(classifier))
    for n in _points(count, 60):
        with Classifier(network, board=board, overlay=overlay, policy="none") as classifier:
            classifier.predict(rows[:1])
            with Signal(n):
                try:
                    grow(classifier)
                except KeyboardInterrupt:
                    pass
            for few in (1, len(rows)):  # as many as the closed buffer held, and more
                assert np.allclose(classifier.decision_function(rows[:few]), right[:few]), n
        assert board.memory.used == 0, n
