"""First and last layers of fewer bits: within their range, near in what they say, and refused where they are others."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

import oracle_conv  # noqa: E402

from qnn_pynq.errors import ConversionError  # noqa: E402
from qnn_pynq.networks import Conv, Linear, Pool  # noqa: E402
from qnn_pynq.train.dorefa.requantise import nearest_sums, requantised  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


def scenes(count: int, seed: int = 3) -> np.ndarray:
    """Smooth pictures: neighbouring pixels are alike, as in photographs."""
    random = np.random.RandomState(seed)
    coarse = random.randint(0, 256, (count, 6, 6, 3)).astype(np.float64)
    fine = coarse.repeat(4, axis=1).repeat(4, axis=2)
    fine = (fine + np.roll(fine, 1, 1) + np.roll(fine, 2, 1) + np.roll(fine, 1, 2) + np.roll(fine, 2, 2)) / 5
    return np.clip(fine[:, 4:20, 4:20] + random.normal(0, 8, (count, 16, 16, 3)), 0, 255).astype(np.uint8)


ROWS = np.arange(640).reshape(5, 128).astype(np.int8)
PICTURES, OTHERS = scenes(60), scenes(30, 4)


def layers(largest: int = 32767) -> tuple[Conv, Pool, Conv, Linear]:
    """A network whose thresholds are quartiles of the sums; the first weights reach `largest`."""
    random = np.random.RandomState(8)
    weights = random.normal(0, 1, (8, 5, 5, 3))
    weights = np.rint(weights * largest / np.abs(weights).reshape(8, -1).max(axis=1)[:, None, None, None])
    first = Conv(3, 8, 5, 2, (2, 2), weights.astype(np.int16), np.zeros((8, 3), np.int32), 16, 8)
    first = dataclasses.replace(first, thresholds=_quartiles(first, weights, PICTURES))
    pool = Pool(3, 2, (0, 1))
    bits = random.randint(0, 256, (8, 3, 3, 1)).astype(np.uint8)
    second = Conv(8, 8, 3, 1, (1, 1), bits, np.array([[-20, 0, 20]] * 8, np.int16))
    tail = Linear(4 * 4 * 8, 5, np.tile(random.randint(-127, 128, (5, 8)).astype(np.int8), (1, 16)),
                  random.normal(0, 1, 5).astype(np.float32), 0.001)
    return first, pool, second, tail


def _quartiles(layer: Conv, weights: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    padded = np.pad(pictures.astype(np.float64), ((0, 0), (2, 2), (2, 2), (0, 0)), "constant")
    sums = np.array([[np.tensordot(padded[:, y : y + 5, x : x + 5], weights, ([1, 2, 3], [1, 2, 3]))
                      for x in range(0, 16, 2)] for y in range(0, 16, 2)]).reshape(-1, 8)
    return np.percentile(sums, (25, 50, 75), axis=0).T.astype(np.int32)


def codes(found: tuple, pictures: np.ndarray) -> np.ndarray:
    return oracle_conv.forward(found, pictures)


def test_ends_of_four_bits_say_nearly_the_same() -> None:
    before = layers()
    after = requantised(before, PICTURES, 4)
    first, tail = after[0], after[-1]
    assert first.weights.dtype == np.int16 and tail.weights.dtype == np.int8
    for layer in (first, tail):
        assert layer.weights.min() >= -8 and layer.weights.max() <= 7
    assert np.abs(first.thresholds).max() < 1 << 20 and after[1:-1] == before[1:-1]
    # On pictures that it has not seen, against each weight rounded by itself.
    part = 7 / 32767
    plain = dataclasses.replace(
        before[0],
        weights=np.rint(before[0].weights * part).astype(np.int16),
        thresholds=np.ceil(before[0].thresholds * part).astype(np.int32),
    )
    expected = codes(before[:1], OTHERS)
    assert (codes(after[:1], OTHERS) != expected).mean() < 0.5 * (codes((plain,), OTHERS) != expected).mean()
    expected, found = oracle_conv.forward(before, OTHERS), oracle_conv.forward(after, OTHERS)
    assert np.abs(found - expected).std() < 0.2 * expected.std()


def test_the_tail_alone_is_nearly_exact() -> None:
    before = layers()
    after = requantised(before, PICTURES, 4)
    expected = oracle_conv.forward(before, OTHERS)
    found = oracle_conv.forward((*before[:-1], after[-1]), OTHERS)
    assert np.abs(found - expected).mean() < 0.05 * expected.std()


def test_more_bits_are_nearer() -> None:
    before = layers()
    off = [float((codes(requantised(before, PICTURES, bits)[:1], OTHERS) != codes(before[:1], OTHERS)).mean())
           for bits in (2, 3, 5)]
    assert off[0] > off[1] > off[2]


def test_weights_that_fit_already_stay_and_give_the_same_codes() -> None:
    before = layers(7)
    first = requantised(before, PICTURES, 4)[0]
    np.testing.assert_array_equal(first.weights, before[0].weights)
    np.testing.assert_array_equal(codes((first,), PICTURES), codes(before[:1], PICTURES))


def test_sums_are_nearer_than_by_rounding_each_weight() -> None:
    random = np.random.RandomState(2)
    mix = random.normal(0, 1, (12, 4))
    covariance = mix @ mix.T + 0.05 * np.eye(12)
    weights = random.normal(0, 1, (30, 12))
    whole, units = nearest_sums(weights, covariance, 4)
    assert whole.min() >= -8 and whole.max() <= 7

    def variance(found: np.ndarray, units: np.ndarray) -> np.ndarray:
        off = weights - units[:, None] * found
        return np.einsum("ri,ij,rj->r", off, covariance, off)

    rounded = np.clip(np.rint(weights / units[:, None]), -8, 7)
    assert (variance(whole, units) <= variance(rounded, units) + 1e-12).all()
    full = np.abs(weights).max(axis=1) / 7
    assert variance(whole, units).mean() < 0.5 * variance(np.rint(weights / full[:, None]), full).mean()


def test_few_weights_are_mostly_the_best_there_are() -> None:
    random = np.random.RandomState(5)
    mix = random.normal(0, 1, (3, 3))
    covariance = mix @ mix.T + 0.2 * np.eye(3)
    weights = random.normal(0, 1, (40, 3))
    whole, units = nearest_sums(weights, covariance, 2)
    every = np.array(list(itertools.product(range(-2, 2), repeat=3)))
    reached = 0
    for row, unit, found in zip(weights, units, whole):
        off = row - unit * every
        best = np.einsum("ri,ij,rj->r", off, covariance, off).min()
        gone = row - unit * found
        reached += gone @ covariance @ gone <= best + 1e-9
    assert reached >= 30


def test_one_unit_for_all_rows_where_they_share_it() -> None:
    weights = np.random.RandomState(1).normal(0, 1, (5, 6)) * np.arange(1, 6)[:, None]
    _, units = nearest_sums(weights, np.eye(6), 4, shared=True)
    assert len(set(units.tolist())) == 1


@pytest.mark.parametrize("change, problem", [
    (lambda found: found[1:], "first layer is no convolution with 16-bit weights"),
    (lambda found: (dataclasses.replace(found[0], invert=np.ones(8, bool)), *found[1:]), "first layer is no"),
    (lambda found: found[:-1], "last layer is no dense tail"),
    (lambda found: (*found[:-1], dataclasses.replace(found[-1], weights=ROWS)),
     "differ from place to place"),
])  # fmt: skip
def test_other_layers_are_refused(change, problem: str) -> None:
    with pytest.raises(ConversionError, match=problem):
        requantised(change(layers()), PICTURES[:8], 4)
