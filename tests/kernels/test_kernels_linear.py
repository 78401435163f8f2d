"""Dense layers of a tail against plain numpy, on every instruction set."""

from __future__ import annotations

import numpy as np
import oracle_conv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq import kernels
from qnn_pynq.errors import KernelError
from qnn_pynq.networks import Linear


@pytest.fixture(autouse=True)
def restore():
    yield
    kernels.set_isa(None)


def make(rng, inputs, outputs, weight_bits, bits, output_bits=0):
    if weight_bits == 1:
        plain = rng.integers(0, 2, (outputs, inputs)).astype(np.uint8)
        weights = np.packbits(plain, axis=-1, bitorder="little")
    elif weight_bits == 8:
        weights = rng.integers(-128, 128, (outputs, inputs)).astype(np.int8)
    else:
        weights = rng.normal(0, 1, (outputs, inputs)).astype(np.float32)
    thresholds = None
    if output_bits:
        spread = inputs**0.5 * 2**bits * (1 if weight_bits == 1 else 64)
        thresholds = rng.normal(0, spread, (outputs, 2**output_bits - 1)).astype(np.int64)
    return Linear(
        inputs, outputs, weights, None, 1.0, weight_bits, bits, output_bits=output_bits, thresholds=thresholds
    )


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 700), st.integers(1, 40), st.sampled_from([1, 8]), st.integers(1, 8),
    st.integers(0, 3), st.booleans(),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_sums_and_codes_are_exact(seed, inputs, outputs, weight_bits, bits, output_bits, largest):
    rng = np.random.default_rng(seed)
    layer = make(rng, inputs, outputs, weight_bits, bits, output_bits)
    values = rng.integers(0, 2**bits, (3, inputs)).astype(np.uint8)
    if largest:
        values[:] = 2**bits - 1
        layer.weights[0] = 255 if weight_bits == 1 else -128
    want = oracle_conv.linear(layer, values)
    for isa in kernels.isa_supported():
        kernels.set_isa(isa)
        dense = kernels.LinearLayer(layer)
        got = dense.run(values)
        assert got.dtype == (np.uint8 if output_bits else np.int32)
        np.testing.assert_array_equal(got, want, err_msg=isa)
        assert dense.nbytes > 0


def test_float_weights():
    rng = np.random.default_rng(1)
    layer = make(rng, 50, 7, 32, 32)
    values = rng.normal(0, 1, (4, 50)).astype(np.float32)
    got = kernels.LinearLayer(layer).run(values)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, oracle_conv.linear(layer, values), rtol=1e-4, atol=1e-4)


def test_wrong_arrays_and_layers_are_refused():
    rng = np.random.default_rng(2)
    dense = kernels.LinearLayer(make(rng, 50, 7, 1, 2))
    for wrong in (np.zeros((1, 49), np.uint8), np.zeros((1, 50), np.int8), np.zeros(50, np.uint8)):
        with pytest.raises(KernelError):
            dense.run(wrong)
    with pytest.raises(KernelError, match="2\\*\\*30"):
        kernels.LinearLayer(make(rng, 40000, 1, 8, 8))
    assert dense.run(np.zeros((0, 50), np.uint8)).shape == (0, 7)
