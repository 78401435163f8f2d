"""Folding over PEs, and words of activations."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn_pynq.families.bnn_pynq import packing

FOLDS = st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 7), st.integers(1, 64),
                  st.integers(0, 2**32 - 1))


def _bit(weights: np.ndarray, neuron: int, synapse: int) -> int:
    return int(weights[neuron, synapse // 8]) >> synapse % 8 & 1


@given(FOLDS)
def test_word_nf_sf_of_a_pe_holds_synapse_s_of_neuron_nf_pe_in_bit_s(fold):
    nf, sf, pe, simd, seed = fold
    bits = np.random.RandomState(seed).randint(0, 2, (nf * pe, sf * simd)).astype(np.uint8)
    weights = np.packbits(bits, axis=1, bitorder="little")
    words = packing.fold_weights(weights, sf * simd, pe, simd)
    assert words.shape == (pe, nf * sf) and words.dtype == np.uint64
    for p in range(pe):
        for n in range(nf):
            for s in range(sf):
                expected = sum(_bit(weights, n * pe + p, s * simd + k) << k for k in range(simd))
                assert int(words[p, n * sf + s]) == expected


@given(FOLDS)
def test_weights_come_back_and_bits_above_simd_are_dropped(fold):
    nf, sf, pe, simd, seed = fold
    rng = np.random.RandomState(seed)
    weights = np.packbits(rng.randint(0, 2, (nf * pe, sf * simd)).astype(np.uint8), axis=1, bitorder="little")
    words = packing.fold_weights(weights, sf * simd, pe, simd)
    garbage = np.frombuffer(rng.bytes(words.size * 8), np.uint64).reshape(words.shape)
    dirty = words | garbage & np.uint64(~((1 << simd) - 1) & (2**64 - 1))
    assert np.array_equal(packing.unfold_weights(dirty, sf * simd, pe, simd), weights)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))
def test_threshold_t_of_neuron_nf_pe_is_value_nf_t(nf, pe, count):
    thresholds = np.arange(nf * pe * count, dtype=np.int16).reshape(nf * pe, count)
    values = packing.fold_thresholds(thresholds, pe)
    assert values.dtype == np.int16
    for p in range(pe):
        for n in range(nf):
            for t in range(count):
                assert values[p, n * count + t] == thresholds[n * pe + p, t]
    assert np.array_equal(packing.unfold_thresholds(values, count), thresholds)


@pytest.mark.parametrize("call", [
    lambda: packing.fold_weights(np.zeros((10, 2), np.uint8), 16, 4, 8),
    lambda: packing.fold_weights(np.zeros((8, 2), np.uint8), 16, 4, 5),
    lambda: packing.fold_weights(np.zeros((8, 3), np.uint8), 16, 4, 8),
    lambda: packing.fold_weights(np.zeros((8, 16), np.uint8), 128, 4, 128),
    lambda: packing.unfold_weights(np.zeros((3, 4), np.uint64), 16, 4, 8),
    lambda: packing.unfold_weights(np.zeros((4, 3), np.uint64), 16, 4, 8),
    lambda: packing.fold_thresholds(np.zeros((9, 1)), 4),
    lambda: packing.unfold_thresholds(np.zeros((4, 3)), 2),
])
def test_what_does_not_fold_is_refused(call):
    with pytest.raises(ValueError, match="fold|expected"):
        call()
