"""The software engine: words, sums, codes, tail and answers are the oracle's."""

from __future__ import annotations

import dataclasses

import numpy as np
import oracle
import oracle_conv
import pytest
import small
from small_conv import linear, small_network

from qnn_pynq import Classifier
from qnn_pynq.engines import SoftwareEngine
from qnn_pynq.errors import InputError, KernelError, ScoresUnavailableError, UnsupportedNetworkError
from qnn_pynq.networks import Decode, Encoding, Linear


def pictures(count, seed=0, size=16):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def float_network(seed=0):
    """`small_network` with float pixels and a float first layer, as published networks have it."""
    network = small_network(seed)
    rng = np.random.default_rng(seed)
    first = dataclasses.replace(
        network.layers[0],
        weights=rng.normal(size=network.layers[0].weights.shape).astype(np.float32),
        thresholds=np.tile(np.float32([0.83, 0.5, 0.17]), (64, 1)), weight_bits=32, input_bits=32,
    )
    mean = rng.uniform(90, 130, (16, 16, 3)).astype(np.float32)
    spec = dataclasses.replace(network.input, encoding=Encoding("mean", mean=mean, divisor=255.0, order="bgr"))
    return dataclasses.replace(network, layers=(first, *network.layers[1:]), input=spec)


@pytest.mark.parametrize("bits,pool", [(2, 3), (3, 2)])
@pytest.mark.parametrize("seed", range(3))
def test_codes_and_answers_are_the_oracles(bits, pool, seed):
    network = small_network(seed, code_bits=bits, pool=pool)
    X = pictures(5, seed)
    with Classifier(network, board="cpu") as classifier:
        assert np.array_equal(classifier.features(X), oracle_conv.forward(network.layers[:-1], X))
        wanted = oracle_conv.forward(network.layers, X)
        np.testing.assert_allclose(classifier.decision_function(X), wanted, rtol=1e-12)
        assert np.array_equal(classifier.predict(X), wanted.argmax(axis=1))
        found = classifier.predict_proba(X)
        powers = np.exp(0.05 * wanted)
        np.testing.assert_allclose(found, powers / powers.sum(axis=1, keepdims=True), rtol=1e-9)
        assert [p.index for p in classifier.classify_many(X)] == wanted.argmax(axis=1).tolist()


def test_a_float_first_layer_takes_the_mean_off_and_the_channels_in_its_order():
    network = float_network()
    X = pictures(4)
    coding = network.input.encoding
    values = (X[..., ::-1].astype(np.float64) - coding.mean) / 255
    total = oracle_conv.sums(network.layers[0], values)
    near = np.abs(total[..., None] - network.layers[0].thresholds).min(axis=-1) < 1e-4
    assert near.mean() < 0.01
    with Classifier(dataclasses.replace(network, layers=network.layers[:1], classes=(), decode=Decode("features")),
                    board="cpu") as classifier:
        found = classifier.features(X)
    assert np.array_equal(found[~near], oracle_conv.codes(network.layers[0], total)[~near])


def test_tails_of_every_kind_are_the_oracles():
    rng = np.random.default_rng(3)
    base = small_network(3)
    count = base.layers[-1].inputs
    bits = np.packbits(rng.integers(0, 2, (32, count)), axis=1, bitorder="little")
    hidden = [
        Linear(count, 32, bits, rng.normal(size=32).astype(np.float32), 0.02, 1, 2, "quantise", 2),
        Linear(count, 32, rng.normal(size=(32, count)).astype(np.float32) / 40, None, 1.0, 32, 2, "clip"),
        Linear(count, 32, bits, None, 1.0, 1, 2, "none", 2, np.sort(rng.integers(-80, 80, (32, 3))).astype(np.int32)),
    ]
    for layer in hidden:
        if layer.thresholds is None:
            last = Linear(32, 5, rng.normal(size=(5, 32)).astype(np.float32), None, 1.0, 32, 32)
        else:
            last = linear(rng, 32, 5)
        network = dataclasses.replace(base, layers=(*base.layers[:-1], layer, last))
        X = pictures(6, 9)
        with Classifier(network, board="cpu") as classifier:
            np.testing.assert_allclose(
                classifier.decision_function(X), oracle_conv.forward(network.layers, X), rtol=1e-4, atol=1e-4
            )


def test_equal_outputs_give_the_lowest_class():
    network = small_network()
    flat = dataclasses.replace(
        network.layers[-1], weights=np.zeros((5, network.layers[-1].inputs), np.int8), bias=np.float32([0, 1, 1, 0, 1])
    )
    network = dataclasses.replace(network, layers=(*network.layers[:-1], flat))
    with Classifier(network, board="cpu") as classifier:
        one = classifier.classify(pictures(1)[0])
        assert one.index == 1 and one.label == "b" and one.top(3)[0][0] == "b"
        assert classifier.predict(pictures(2)).tolist() == [1, 1]


def test_networks_that_end_in_features_give_no_classes():
    network = small_network()
    network = dataclasses.replace(network, layers=network.layers[:-1], classes=(), decode=Decode("features"))
    with Classifier(network, board="cpu") as classifier:
        assert classifier.features(pictures(2)).shape == (2, 4, 4, 40)
        for ask in (classifier.predict, classifier.decision_function, classifier.predict_proba):
            with pytest.raises(ScoresUnavailableError, match="features"):
                ask(pictures(2))
        with pytest.raises(ScoresUnavailableError, match="features"):
            classifier.classify(pictures(1)[0])


def test_dense_networks_have_no_features():
    with Classifier(small.network(), board="cpu") as classifier:
        with pytest.raises(ScoresUnavailableError, match="no maps"):
            classifier.features(np.zeros((1, 64), np.uint8))


def test_networks_of_both_kinds_can_be_loaded_one_after_the_other():
    network, dense = small_network(), small.network()
    with Classifier(network, board="cpu") as classifier:
        before = classifier.predict(pictures(3))
        classifier.load(dense)
        assert classifier.predict(np.zeros((2, 64), np.uint8)).shape == (2,)
        classifier.load(network)
        assert np.array_equal(classifier.predict(pictures(3)), before)


def test_arrays_of_the_wrong_shape_are_refused():
    with Classifier(small_network(), board="cpu") as classifier:
        for bad in (np.zeros((2, 700), np.uint8), np.zeros((2, 16, 16, 2), np.uint8), np.zeros(5, np.uint8)):
            with pytest.raises(InputError):
                classifier.predict(bad)


def test_an_empty_batch_gives_empty_answers():
    with Classifier(small_network(), board="cpu") as classifier:
        assert classifier.predict(np.zeros((0, 16, 16, 3), np.uint8)).shape == (0,)
        assert classifier.features(np.zeros((0, 16, 16, 3), np.uint8)).shape == (0, 4, 4, 40)


def test_one_engine_takes_both_kinds_of_network_and_says_what_it_gives():
    conv, dense = small_network(), small.network()
    rows = pictures(3).reshape(3, -1)
    with SoftwareEngine() as engine:
        for _ in range(2):
            engine.load(conv)
            assert (engine.kind, engine.after, engine.gives_sums) == ("codes", conv.layers[-1:], False)
            found = engine.run(rows, sums=True)
            assert (found.kind, found.end, found.sums) == ("codes", 4, None)
            assert np.array_equal(found.values, oracle_conv.forward(conv.layers[:-1], pictures(3)))
            engine.load(dense)
            assert (engine.kind, engine.after, engine.gives_sums) == ("words", (), True)


def test_values_that_are_no_answer_are_refused_and_the_former_network_stays():
    conv = small_network()
    dense, wide = small.network(), small.network(sizes=(64, 16, 80))
    levels = dataclasses.replace(dense, decode=dataclasses.replace(dense.decode, levels=7))
    with SoftwareEngine() as engine:
        engine.load(conv)
        for network, text in ((wide, "80 output bits"), (levels, "10 classes of 7 levels need 70 output neurons")):
            with pytest.raises(UnsupportedNetworkError, match=text):
                engine.load(network)
        assert engine.network is conv and len(engine.run(pictures(2).reshape(2, -1)).values) == 2


# -- dense networks ---------------------------------------------------------------------------------------


def test_software_gives_the_oracles_sums():
    net = small.network(seed=3)
    rows = small.pictures(9, net)
    with SoftwareEngine() as engine:
        engine.load(net)
        result = engine.run(rows, sums=True)
    assert (result.sums == oracle.lfc_sums(net.layers, small.bits(net, rows))).all()


def test_few_output_neurons_in_software():
    net = small.network(seed=4, sizes=(64, 16, 10), classes=10)
    rows = small.pictures(9, net)
    with SoftwareEngine() as engine:
        engine.load(net)
        out = engine.run(rows).values
        assert out.dtype == np.uint64 and (out == small.words(net, rows)).all()
        assert engine.one(rows[3]) == out[3]


def test_software_has_no_accelerator_stage():
    net = small.network()
    with SoftwareEngine() as engine:
        engine.load(net)
        assert set(engine.run(small.pictures(3, net)).stages) == {"kernel"}
        assert not engine.accelerator_is_modelled


def test_threads_must_be_positive():
    with pytest.raises(InputError, match="threads"):
        SoftwareEngine(threads=0)


def test_a_network_that_no_kernel_takes_leaves_the_former_one():
    net = small.network(seed=4)
    rows = small.pictures(9, net)
    layer = dataclasses.replace(net.layers[0], weights=net.layers[0].weights[:-1])
    with SoftwareEngine() as engine:
        engine.load(net)
        with pytest.raises(KernelError):
            engine.load(dataclasses.replace(net, layers=(layer, *net.layers[1:])))
        assert engine.network is net and (engine.run(rows).values == small.words(net, rows)).all()


def test_the_time_of_each_row_of_layers_is_measured():
    conv, dense = small_network(), small.network()
    with SoftwareEngine() as engine:
        engine.load(conv)
        (seconds,) = engine.row_seconds(pictures(3).reshape(3, -1))
        assert engine.rows[0].kernel.rows == (0, 1, 3) and seconds.shape == (3,) and (seconds > 0).all()
        engine.load(dense)
        (seconds,) = engine.row_seconds(small.pictures(3, dense))
        assert seconds.shape == (1,) and seconds[0] > 0
