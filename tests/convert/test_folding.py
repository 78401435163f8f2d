from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq.convert.folding import fold, fold_dense
from qnn_pynq.errors import ConversionError

TERNARY = (-0.5, 0.5)


def reachable(fan_in: int, accumulator: str, pads: int = 0):
    """Every dot product that can occur, and the accumulator of the (possibly negated) one."""
    x = np.arange(-fan_in, fan_in + 1, 2 if accumulator == "popcount" else 1, dtype=np.int64)
    return x, ((fan_in + x) // 2 if accumulator == "popcount" else x - pads)


def float_rule(x, gamma, beta, mean, inv_std, bias, steps):
    """(neurons, x, steps): what the trained network does, written as the definition has it."""
    gamma, beta, mean, inv_std, bias = (
        np.asarray(v, np.float64)[:, None] for v in (gamma, beta, mean, inv_std, bias)
    )
    y = gamma * inv_std * (x[None, :] + bias - mean) + beta
    return y[:, :, None] >= np.asarray(steps)


def circuit(x, flip, thresholds, fan_in, accumulator, pads=0):
    """(neurons, x, steps): what the circuit does with the same +-1 products."""
    signed = np.where(flip[:, None], -x[None, :], x[None, :])
    acc = (fan_in + signed) // 2 if accumulator == "popcount" else signed - pads
    wrapped = (acc.astype(np.int64) + 0x8000) % 0x10000 - 0x8000
    return thresholds[:, None, :] < wrapped[:, :, None]


def random_norm(rng, count, spread, negative=0.5):
    gamma = np.exp(rng.normal(0, 1, count)) * np.where(rng.random(count) < negative, -1, 1)
    return (
        gamma,
        rng.normal(0, 1, count),
        rng.normal(0, spread, count),
        np.exp(rng.normal(-2, 1, count)),
        rng.normal(0, 1, count),
    )


@pytest.mark.parametrize("accumulator", ["popcount", "sum"])
@pytest.mark.parametrize("fan_in", [1, 2, 7, 64, 784, 1024])
@pytest.mark.parametrize("steps", [(0.0,), TERNARY])
def test_exact_equals_the_float_rule_on_every_accumulator(fan_in, accumulator, steps):
    rng = np.random.default_rng(fan_in)
    norm = random_norm(rng, 300, np.sqrt(fan_in) + 1)
    x, _ = reachable(fan_in, accumulator)
    flip, thresholds = fold(*norm, fan_in=fan_in, steps=steps, accumulator=accumulator)
    assert thresholds.shape == (300, len(steps))
    assert thresholds.dtype == np.int64 and thresholds.min() >= -0x8000 and thresholds.max() <= 0x7FFF
    assert np.array_equal(circuit(x, flip, thresholds, fan_in, accumulator), float_rule(x, *norm, steps))


@pytest.mark.parametrize("accumulator", ["popcount", "sum"])
def test_exact_fires_on_ties_for_either_sign(accumulator):
    fan_in = 16
    mean = np.arange(-20, 21, dtype=np.float64)
    for sign in (1.0, -1.0):
        norm = (np.full(41, sign), np.zeros(41), mean, np.ones(41), np.zeros(41))
        x, _ = reachable(fan_in, accumulator)
        flip, thresholds = fold(*norm, fan_in=fan_in, steps=(0.0,), accumulator=accumulator)
        assert np.array_equal(circuit(x, flip, thresholds, fan_in, accumulator), float_rule(x, *norm, (0.0,)))


numbers = (
    st.floats(-1e300, 1e300) | st.integers(-40, 40).map(float) | st.sampled_from([0.0, -0.0, 5e-324, -5e-324])
)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 40),
    st.sampled_from(["popcount", "sum"]),
    st.sampled_from([(0.0,), TERNARY, (-3.0, 0.25, 7.5)]),
    st.lists(st.tuples(*[numbers] * 5), min_size=1, max_size=8),
    st.integers(0, 50),
)
def test_exact_equals_the_float_rule_on_hostile_numbers(fan_in, accumulator, steps, rows, pads):
    norm = tuple(np.array(column) for column in zip(*rows))
    x, _ = reachable(fan_in, accumulator)
    with np.errstate(all="ignore"):
        expected = float_rule(x, *norm, steps)
        value = norm[0] * norm[3]
        y = value[:, None] * (x + norm[4][:, None] - norm[2][:, None]) + norm[1][:, None]
    try:
        flip, thresholds = fold(*norm, fan_in=fan_in, steps=steps, accumulator=accumulator, pads=pads)
    except ConversionError as error:
        assert "infinities" in str(error) and np.isnan(y).any()
        return
    got = circuit(x, flip, thresholds, fan_in, accumulator, pads)
    sane = ~np.isnan(y)
    assert np.array_equal(got[sane], expected[sane])


def test_constant_neurons_fire_always_or_never():
    flip, thresholds = fold(
        [0.0, 0.0, 0.0], [0.5, 0.0, -0.5], 3.0, 1.0, fan_in=10, steps=(0.0,), accumulator="sum"
    )
    x, _ = reachable(10, "sum")
    assert circuit(x, flip, thresholds, 10, "sum").all(axis=1)[:, 0].tolist() == [True, True, False]
    assert not circuit(x, flip, thresholds, 10, "sum")[2].any()


@pytest.mark.parametrize("accumulator", ["popcount", "sum"])
def test_infinite_parameters_saturate(accumulator):
    inf = float("inf")
    flip, thresholds = fold(
        [1, 1, 1, -1, 0, inf],
        [inf, -inf, 0, 0, 1, 0],
        [0, 0, inf, inf, inf, 3],
        1.0,
        fan_in=8,
        steps=(0.0,),
        accumulator=accumulator,
    )
    x, _ = reachable(8, accumulator)
    fired = circuit(x, flip, thresholds, 8, accumulator)[:, :, 0]
    assert fired[[0, 3, 4]].all() and not fired[[1, 2]].any()
    assert np.array_equal(fired[5], x >= 3)


def test_thresholds_stay_within_16_bits_at_the_largest_fan_in():
    _, thresholds = fold(
        [1, 1], [1e9, -1e9], 0.0, 1.0, fan_in=32000, pads=767, steps=(0.0,), accumulator="sum"
    )
    assert thresholds.min() >= -0x8000 and thresholds.max() <= 0x7FFF


def test_upstream_is_off_by_one_for_negative_gamma_and_right_otherwise():
    """The documented defect: about 0.86 wrong sums in every channel-threshold of negative gamma."""
    fan_in, rng = 256, np.random.default_rng(0)
    gamma, beta, mean, inv_std, bias = random_norm(rng, 2000, 16)
    beta = beta * 0.1
    x, _ = reachable(fan_in, "sum")
    norm = (gamma, beta, mean, inv_std, bias)
    expected = float_rule(x, *norm, TERNARY)

    def wrong(rule):
        flip, thresholds = fold(*norm, fan_in=fan_in, steps=TERNARY, accumulator="sum", rule=rule)
        return (circuit(x, flip, thresholds, fan_in, "sum") != expected).sum(axis=1)

    assert not wrong("exact").any()
    upstream = wrong("upstream")
    assert not upstream[gamma > 0].any()
    assert upstream[gamma < 0].max() == 1  # never more than one accumulator value
    assert upstream[gamma < 0].mean() > 0.7


def test_upstream_is_right_for_popcount_layers_apart_from_ties():
    fan_in, rng = 1024, np.random.default_rng(1)
    norm = random_norm(rng, 1000, 30)
    x, _ = reachable(fan_in, "popcount")
    flip, thresholds = fold(*norm, fan_in=fan_in, steps=(0.0,), accumulator="popcount", rule="upstream")
    inside = (thresholds[:, 0] > 0) & (thresholds[:, 0] < fan_in)  # trunc is no floor below 0
    got = circuit(x, flip, thresholds, fan_in, "popcount")
    assert inside.sum() > 500
    assert np.array_equal(got[inside], float_rule(x, *norm, (0.0,))[inside])


@pytest.mark.parametrize("rule", ["exact", "upstream"])
def test_pads_lower_signed_sums_only(rule):
    norm = random_norm(np.random.default_rng(2), 50, 20)
    for accumulator, lower in (("sum", 48), ("popcount", 0)):
        plain = fold(*norm, fan_in=784, steps=(0.0,), accumulator=accumulator, rule=rule)[1]
        padded = fold(*norm, fan_in=784, steps=(0.0,), accumulator=accumulator, rule=rule, pads=48)[1]
        assert np.array_equal(plain - lower, padded)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gamma": [1.0, np.nan]}, r"gamma\[1\] is nan"),
        ({"mean": [np.inf, 1.0], "beta": [np.inf, 0.0]}, "neuron 0: infinities cancel"),
        ({"beta": [1.0, 2.0, 3.0]}, r"gamma has shape \(2,\): expected \(3,\)"),
        ({"fan_in": 40000}, "expected 1 to 32767"),
        ({"steps": ()}, "ascending"),
        ({"steps": (1.0, 0.0)}, "ascending"),
        ({"accumulator": "xor"}, "popcount"),
        ({"rule": "best"}, "exact or upstream"),
        ({"rule": "upstream", "gamma": [0.0, 1.0]}, 'neuron 0 has gamma 0.*rule="exact"'),
    ],
)
def test_bad_parameters_are_named(change, message):
    arguments = {
        "gamma": [1.0, 1.0],
        "beta": 0.0,
        "mean": 0.0,
        "inv_std": 1.0,
        "fan_in": 8,
        "steps": (0.0,),
        "accumulator": "sum",
    }
    arguments.update(change)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConversionError, match=message):
            fold(**arguments)


@pytest.mark.parametrize(
    ("accumulator", "output"), [("popcount", "binary"), ("sum", "binary"), ("sum", "ternary")]
)
def test_padded_dense_layer_answers_as_the_trained_one(accumulator, output):
    rng = np.random.default_rng(5)
    neurons, fan_in = 30, 45
    weights = rng.normal(size=(neurons, fan_in))
    weights[3, 4] = 0.0
    norm = random_norm(rng, neurons, 5)
    layer = fold_dense(
        weights, *norm, input="binary", accumulator=accumulator, output=output, inputs=64, outputs=40
    )
    assert layer.weights.shape == (40, 8) and layer.thresholds.shape == (40, 2 if output == "ternary" else 1)
    bits = rng.integers(0, 2, (200, fan_in))
    x = (2 * bits - 1) @ np.where(weights >= 0, 1, -1).T
    y = norm[0] * norm[3] * (x + norm[4] - norm[2]) + norm[1]
    borders = TERNARY if output == "ternary" else (0.0,)
    expected = (y[:, :, None] >= np.array(borders)).sum(axis=2)
    padded = np.zeros((200, 64), dtype=np.int64)
    padded[:, :fan_in] = bits
    signs = 2 * np.unpackbits(layer.weights, axis=1, bitorder="little").astype(np.int64) - 1
    acc = (2 * padded - 1) @ signs.T
    if accumulator == "popcount":
        acc = (64 + acc) // 2
    got = (layer.thresholds[None] < acc[:, :, None]).sum(axis=2)
    assert np.array_equal(got[:, :neurons], expected)
    assert not got[:, neurons:].any()


def test_dense_refuses_wrong_weights():
    norm = {
        "gamma": 1.0,
        "beta": 0.0,
        "mean": 0.0,
        "inv_std": 1.0,
        "input": "binary",
        "accumulator": "sum",
        "output": "binary",
    }
    with pytest.raises(ConversionError, match="do not fit"):
        fold_dense(np.ones((4, 9)), inputs=8, **norm)
    with pytest.raises(ConversionError, match="neurons, fan-in"):
        fold_dense(np.ones(9), **norm)
    with pytest.raises(ConversionError, match="nan"):
        fold_dense(np.full((2, 2), np.nan), **norm)
    with pytest.raises(ConversionError, match="3 neurons for 2"):
        fold_dense(np.ones((2, 2)), **{**norm, "gamma": np.ones(3)})
