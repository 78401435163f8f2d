"""Networks with levels become networks with sums, which plain numpy has as well."""

from __future__ import annotations

import dataclasses

import numpy as np
import oracle
import pytest

from qnn_pynq.contracts.network import Decode, Encoding, InputSpec, Network
from qnn_pynq.errors import ConversionError
from qnn_pynq.networks import Dense, load_network, save_network
from qnn_pynq.train.data import DataSet
from qnn_pynq.train.lfc.sums import with_sums

CLASSES, LEVELS = 4, 3
RANDOM = np.random.RandomState(11)
PICTURES = RANDOM.randint(0, 256, (50, 8, 8)).astype(np.uint8)


def with_levels(ternary: bool) -> Network:
    """832-40-12 with three levels of four classes, and one neuron more that no class has."""
    accumulator = "sum" if ternary else "popcount"
    middle = "ternary" if ternary else "binary"
    first = Dense(
        832, 40, RANDOM.randint(0, 256, (40, 104)).astype(np.uint8),
        np.sort(RANDOM.randint(-20, 21, (40, 2 if ternary else 1)), axis=1).astype(np.int16) + (0 if ternary else 416),
        1, "binary", accumulator, middle,
    )  # fmt: skip
    rows = RANDOM.randint(0, 256, (CLASSES, 5)).astype(np.uint8)
    weights = np.concatenate([np.tile(rows, (LEVELS, 1)), rows[:1] ^ 255])
    borders = np.repeat([15, 18, 21, 9], [CLASSES, CLASSES, CLASSES, 1])[:, None].astype(np.int16)
    last = Dense(40, 13, weights, borders, 1, middle, accumulator, "binary")
    spec = InputSpec((8, 8), 1, "as-is", None, Encoding("threshold", 128))
    return Network("levels", "Dots on the LFC overlay", "", ("bnn-pynq-lfc-w1a1",), spec, (first, last),
                   Decode("highest-bit", LEVELS, 0.1), tuple("abcd"), {"dataset": "Dots"})


@pytest.mark.parametrize("ternary", [False, True])
def test_the_sums_are_those_behind_the_levels(ternary: bool, tmp_path) -> None:
    levels = with_levels(ternary)
    expected = oracle.lfc_sums(levels.layers, oracle.encode(PICTURES, 832, threshold=128))[:, :CLASSES]
    labels = np.where(RANDOM.rand(50) < 0.7, expected.argmax(axis=1), 0)
    data = DataSet(PICTURES, labels, levels.classes)
    lines: list[str] = []
    found = with_sums(levels, "sums", data, data, {"seed": 1}, lines.append)
    again = load_network(save_network(found, tmp_path / "sums"))
    assert again.overlays == ("engine-z7020",) and again.title == "Dots as sums"
    assert again.description.startswith("Dots for our engine: 832-40-4, W1A" + ("2" if ternary else "1"))
    bits = oracle.encode(PICTURES, 832, threshold=128)
    np.testing.assert_array_equal(oracle.lfc_sums(again.layers, bits), expected)
    right = float(np.mean(expected.argmax(axis=1) == labels))
    accuracy = again.provenance["accuracy"]
    assert accuracy == {"validation": pytest.approx(right), "test": pytest.approx(right), "images": 50}
    assert len(lines) == 2 and lines[1].startswith(f"test {100 * right:.2f} % of 50 (levels: ")
    # The scale is where held-out pictures are likeliest.
    assert again.decode.rule == "largest-sum" and again.decode.scale is not None

    def loss(scale: float) -> float:
        powers = np.exp(scale * (expected - expected.max(axis=1, keepdims=True)))
        return float(-np.log((powers / powers.sum(axis=1, keepdims=True))[np.arange(50), labels]).mean())

    assert loss(again.decode.scale) <= min(loss(again.decode.scale * 0.9), loss(again.decode.scale * 1.1)) + 1e-6


def test_levels_with_weights_of_their_own_are_refused() -> None:
    levels = with_levels(False)
    weights = levels.layers[-1].weights.copy()
    weights[5] ^= 1
    other = dataclasses.replace(
        levels, layers=(levels.layers[0], dataclasses.replace(levels.layers[-1], weights=weights))
    )
    data = DataSet(PICTURES, np.zeros(50, np.int64), levels.classes)
    with pytest.raises(ConversionError, match="levels of a class have other weights"):
        with_sums(other, "sums", data, None, {})


def test_a_network_that_has_sums_already_is_refused() -> None:
    levels = with_levels(True)
    data = DataSet(PICTURES, np.zeros(50, np.int64), levels.classes)
    sums = with_sums(levels, "sums", data, None, {})
    assert "test" not in sums.provenance["accuracy"]
    with pytest.raises(ConversionError, match='sums does not end in levels: expected the decode rule "highest-bit"'):
        with_sums(sums, "again", data, None, {})
