"""From words, sums and outputs to classes, scores and probabilities."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import oracle
import oracle_conv
import pytest
import small
from hypothesis import given, settings
from hypothesis import strategies as st
from small_conv import small_network

from qnn_pynq.classifier.decode import Features, HighestBit, LargestSum, make_decoder
from qnn_pynq.engines import EngineResult, SoftwareEngine
from qnn_pynq.errors import UnsupportedNetworkError
from qnn_pynq.networks import Decode


def _decoder(network):
    with SoftwareEngine() as engine:
        engine.load(network)
        return make_decoder(network, engine)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=30), st.sampled_from([(10, 1), (10, 6), (1, 1), (2, 32), (64, 1)]))
def test_decoding_is_the_oracles(values, shape):
    classes, levels = shape
    net = small.network(classes=classes)
    net = dataclasses.replace(net, decode=dataclasses.replace(net.decode, levels=levels))
    decoder = _decoder(net)
    words = np.array(values, np.uint64)
    index, fired = oracle.decode(words, classes, levels)
    found, unfired = decoder.indices(words)
    assert (found == index).all() and unfired == (~fired).sum()
    scores = decoder.scores(words)
    for k, value in enumerate(values):
        masked = value & decoder.mask
        assert decoder.by_length[masked.bit_length()] == index[k]
        levels_of = [max([lv + 1 for lv in range(levels) if masked >> (lv * classes + c) & 1], default=0)
                     for c in range(classes)]
        assert scores[k].tolist() == levels_of
        if fired[k]:  # the highest score, and of equal ones the highest class
            assert index[k] == max(range(classes), key=lambda c: (levels_of[c], c))


def test_word_12_is_class_3_and_word_0_is_not_fired():
    decoder = _decoder(small.network())
    indices, unfired = decoder.indices(np.array([12, 0, 1 << 63], np.uint64))
    assert indices.tolist() == [3, 0, 0] and unfired == 2


def test_probabilities_are_a_softmax_of_the_margins():
    net = small.network(seed=1)
    net = dataclasses.replace(net, decode=dataclasses.replace(net.decode, scale=0.5))
    base = net.layers[-1].thresholds[:10, 0]
    sums = np.zeros((2, 64), np.int32)
    sums[:, :10] = base
    sums[1, 3] += 2
    words = np.zeros(2, np.uint64)
    decoder = _decoder(net)
    p = decoder.probabilities(EngineResult("words", words, {}, sums), words)
    assert p[0] == pytest.approx(np.full(10, 0.1))
    assert p[1, 3] == pytest.approx(math.e / (math.e + 9)) and p.sum(axis=1) == pytest.approx(1)
    assert decoder.probabilities(EngineResult("words", words, {}), words) is None


def test_the_rule_says_which_values_it_reads():
    dense, conv = small.network(), small_network()
    assert type(_decoder(dense)) is HighestBit and type(_decoder(conv)) is LargestSum
    features = dataclasses.replace(conv, layers=conv.layers[:-1], classes=(), decode=Decode("features"))
    assert type(_decoder(features)) is Features
    with SoftwareEngine() as engine:
        engine.load(conv)
        with pytest.raises(UnsupportedNetworkError, match='cpu gives codes, decode rule "highest-bit" reads words'):
            make_decoder(dense, engine)
        engine.load(dense)
        with pytest.raises(UnsupportedNetworkError, match="gives words"):
            make_decoder(conv, engine)


def test_layers_that_the_engine_leaves_are_computed_behind_it():
    conv = small_network()
    rows = small.pictures(3, conv)
    with SoftwareEngine() as engine:
        engine.load(conv)
        decoder = make_decoder(conv, engine)
        outputs = decoder.outputs(engine.run(rows))
    assert [row.first for row in decoder.rows] == [4] and outputs.dtype == np.float64
    wanted = oracle_conv.forward(conv.layers, rows.reshape(3, 16, 16, 3))
    np.testing.assert_allclose(outputs, wanted, rtol=1e-12)
    assert decoder.indices(outputs)[0].tolist() == wanted.argmax(axis=1).tolist()
