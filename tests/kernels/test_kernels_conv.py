"""Convolutions against plain numpy: every instruction set, all shapes, the largest codes."""

from __future__ import annotations

import threading

import numpy as np
import oracle_conv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq import kernels
from qnn_pynq.errors import KernelError
from qnn_pynq.networks import Conv, Pool

ISAS = kernels.isa_supported()


@pytest.fixture(autouse=True)
def restore():
    yield
    kernels.set_isa(None)


def make(rng, part_in, part_out, kernel, stride=1, padding=(0, 0), bits=2, groups=1, weight_bits=1, output_bits=2):
    inputs, outputs = part_in * groups, part_out * groups
    levels = 2**output_bits - 1
    count = kernel * kernel * part_in
    if weight_bits == 1:
        plain = rng.integers(0, 2, (outputs, kernel, kernel, part_in)).astype(np.uint8)
        weights = np.packbits(plain, axis=-1, bitorder="little")
        thresholds = rng.integers(-count - 2, count + 3, (outputs, levels)) * (2**bits - 1) // 2
    elif weight_bits == 16:
        weights = rng.integers(-32768, 32768, (outputs, kernel, kernel, part_in)).astype(np.int16)
        thresholds = rng.normal(0, 127 * 30000 * count**0.5, (outputs, levels)).astype(np.int64)
        bits = 8
    else:
        weights = rng.normal(0, 1, (outputs, kernel, kernel, part_in)).astype(np.float32)
        thresholds = rng.normal(0, count**0.5, (outputs, levels)).astype(np.float32)
        bits = 32
    return Conv(
        inputs, outputs, kernel, stride, padding, weights, thresholds, weight_bits, bits, output_bits, groups,
        rng.integers(0, 2, outputs).astype(bool) if rng.integers(0, 2) else None,
    )  # fmt: skip


def expected(layer, pool, maps):
    codes = oracle_conv.conv(layer, maps)
    return codes if pool is None else oracle_conv.pool(pool, codes)


def check(layer, pool, maps, isas=ISAS):
    want = expected(layer, pool, maps)
    for isa in isas:
        kernels.set_isa(isa)
        convolution = kernels.ConvLayer(layer, maps.shape[1], maps.shape[2], pool)
        got = convolution.run(maps)
        assert got.shape[1:] == convolution.output_shape
        np.testing.assert_array_equal(got, want, err_msg=isa)
        np.testing.assert_array_equal(convolution.run(maps), want, err_msg=isa + ", again")


@st.composite
def cases(draw, weight_bits):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kernel = draw(st.integers(1, 5))
    bits = draw(st.integers(1, 3))
    padding = (draw(st.integers(0, 3)), draw(st.integers(0, 3)))
    layer = make(
        rng,
        draw(st.one_of(st.integers(1, 40), st.integers(60, 140))),
        draw(st.one_of(st.integers(1, 40), st.integers(60, 140))),
        kernel, draw(st.integers(1, 4)), padding, bits, draw(st.sampled_from([1, 1, 2, 3])), weight_bits,
        draw(st.integers(1, 3)),
    )  # fmt: skip
    least = max(1, kernel - sum(padding))
    height, width = draw(st.integers(least, least + 12)), draw(st.integers(least, least + 12))
    high, wide = layer.output_size(height), layer.output_size(width)
    pool = None
    if draw(st.booleans()):
        around = (draw(st.integers(0, 1)), draw(st.integers(0, 1)))
        pool = Pool(draw(st.integers(1, min(high, wide, 4) + sum(around))), draw(st.integers(1, 3)), around)
    shape = (draw(st.integers(1, 2)), height, width, layer.inputs)
    if draw(st.booleans()) and weight_bits != 32:  # the largest sums there are
        maps = np.full(shape, 2**bits - 1 if weight_bits == 1 else 255, np.uint8)
        layer.weights[0] = -1 if weight_bits == 16 else 255
    elif weight_bits == 32:
        maps = rng.normal(0, 1, shape).astype(np.float32)
    else:
        maps = rng.integers(0, 2**bits if weight_bits == 1 else 256, shape).astype(np.uint8)
    return layer, pool, maps


@given(cases(1))
@settings(max_examples=150, deadline=None)
def test_codes_with_1_bit_weights(case):
    check(*case)


@given(cases(16))
@settings(max_examples=80, deadline=None)
def test_pixels_with_16_bit_weights(case):
    layer, pool, maps = case
    if 255 * np.abs(layer.weights.astype(np.int64)).reshape(layer.outputs, -1).sum(axis=1).max() >= 2**31:
        with pytest.raises(KernelError, match="2147|2\\*\\*31"):
            kernels.ConvLayer(layer, maps.shape[1], maps.shape[2], pool)
        layer.weights[...] //= 8
    check(layer, pool, maps)


@pytest.mark.parametrize("outputs", [1, 4, 5, 16, 17, 20, 48, 52, 64, 65, 68, 69, 84, 128, 132])
@pytest.mark.parametrize("shape", [(3, 12, 4), (1, 1, 1), (2, 2, 3), (7, 3, 2), (5, 5, 1)])
def test_last_vectors_of_16_bit_weights(outputs, shape):
    inputs, kernel, stride = shape
    rng = np.random.default_rng(outputs)
    layer = make(rng, inputs, outputs, kernel, stride, (1, 0), weight_bits=16)
    layer.weights[...] //= 4
    layer.weights[-1] = -8192
    check(layer, None, rng.integers(0, 256, (2, kernel + 3, 22 * stride + kernel, inputs)).astype(np.uint8))


@given(cases(32))
@settings(max_examples=80, deadline=None)
def test_float_pixels(case):
    layer, pool, maps = case
    sums = oracle_conv.sums(layer, maps)[..., None]
    if np.abs(sums - layer.thresholds).min() > 1e-3:  # the order of the summation must not matter
        check(layer, pool, maps)


@pytest.mark.parametrize("bits", [2, 3])
@pytest.mark.parametrize("shape", [(34, 90, 5, 2, 2), (180, 272, 3, 1, 1), (136, 192, 3, 1, 2), (192, 128, 3, 1, 2)])
def test_layers_of_dorefa_with_the_largest_codes(shape, bits):
    part_in, part_out, kernel, around, groups = shape
    rng = np.random.default_rng(1)
    layer = make(rng, part_in, part_out, kernel, 1, (around, around), bits, groups)
    layer.weights[:2] = np.packbits(np.ones((kernel, kernel, part_in), np.uint8), axis=-1, bitorder="little")
    layer.weights[2:3] = 0
    top = (2**bits - 1) * part_in * kernel**2
    layer.thresholds[0] = [top - 1, top, top + 1]
    layer.thresholds[1] = [top, 40000, -40000]
    layer.thresholds[2] = [-top, 1 - top, -top - 1]
    maps = np.full((1, 9, 11, layer.inputs), 2**bits - 1, np.uint8)
    check(layer, Pool(3, 2, (0, 1)), maps)


def test_stack_equals_its_layers_one_by_one():
    rng = np.random.default_rng(2)
    layers = [
        make(rng, 3, 10, 5, 2, (0, 0), 8, 1, 16),
        Pool(2, 1),
        make(rng, 5, 7, 3, 1, (1, 1), 2, 2),
        make(rng, 14, 6, 3, 1, (0, 1), 2),
        Pool(2, 2),
        Pool(2, 1, (1, 0)),
    ]
    maps = rng.integers(0, 256, (3, 31, 27, 3)).astype(np.uint8)
    want = oracle_conv.forward(layers, maps)
    for isa in ISAS:
        kernels.set_isa(isa)
        stack = kernels.ConvStack(layers, 31, 27)
        seconds = np.full(stack.convolutions, -1.0)
        out = np.empty((3,) + stack.output_shape, np.uint8)
        assert stack.run(maps, out, seconds) is out
        np.testing.assert_array_equal(out, want)
        assert stack.convolutions == 3
        assert (seconds >= 0).all()
        assert stack.nbytes > 0


def test_bits_beyond_the_codes_are_ignored():
    rng = np.random.default_rng(3)
    layer = make(rng, 13, 20, 3)
    maps = rng.integers(0, 256, (1, 6, 6, 13)).astype(np.uint8)
    want = oracle_conv.conv(layer, maps & 3)
    for isa in ISAS:
        kernels.set_isa(isa)
        np.testing.assert_array_equal(kernels.ConvLayer(layer, 6, 6).run(maps), want)


def test_threads_share_a_layer():
    rng = np.random.default_rng(4)
    layer = make(rng, 40, 70, 3, 1, (1, 1))
    convolution = kernels.ConvLayer(layer, 20, 20)
    maps = rng.integers(0, 4, (4, 20, 20, 40)).astype(np.uint8)
    want = convolution.run(maps)
    found = [None] * 4

    def work(number):
        for _ in range(10):
            found[number] = convolution.run(maps)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got in found:
        np.testing.assert_array_equal(got, want)


def test_wrong_arrays_and_layers_are_refused():
    rng = np.random.default_rng(5)
    layer = make(rng, 4, 6, 3)
    convolution = kernels.ConvLayer(layer, 8, 8)
    maps = np.zeros((1, 8, 8, 4), np.uint8)
    for wrong in (maps.astype(np.int64), maps[0], maps[:, ::-1], maps.tolist(), np.zeros((1, 8, 8, 5), np.uint8)):
        with pytest.raises(KernelError):
            convolution.run(wrong)
    with pytest.raises(KernelError, match="out"):
        convolution.run(maps, np.zeros((1, 6, 6, 7), np.uint8))
    with pytest.raises(KernelError, match="does not fit"):
        kernels.ConvLayer(layer, 2, 8)
    with pytest.raises(KernelError, match="does not fit"):
        kernels.ConvLayer(layer, 8, 8, Pool(7, 1))
    with pytest.raises(KernelError, match="begins with a pool"):
        kernels.ConvStack([Pool(2, 2)], 8, 8)
    with pytest.raises(KernelError, match="inputs"):
        kernels.ConvStack([layer, layer], 8, 8)
    assert convolution.run(maps[:0]).shape == (0, 6, 6, 6)


@pytest.mark.parametrize("isa", ISAS)
def test_what_a_set_has_no_kernel_for_goes_to_a_slower_one(isa):
    rng = np.random.default_rng(11)
    kernels.set_isa(isa)
    slower = ISAS[: ISAS.index(isa) + 1]
    for layer, kind in ((make(rng, 16, 32, 3), "lookup"), (make(rng, 3, 8, 3, weight_bits=16), "16-bit")):
        name = kernels.ConvLayer(layer, 9, 9).method.split()
        assert name == ["scalar"] if isa == "scalar" else (name[0] in slower[1:] and name[1] == kind), name
    grouped = kernels.ConvLayer(make(rng, 3, 8, 3, groups=2, weight_bits=16), 9, 9)
    beyond_16_bits = kernels.ConvLayer(make(rng, 512, 8, 5, bits=3), 9, 9)
    assert (grouped.isa, grouped.method, beyond_16_bits.method) == (isa, "scalar", "scalar")
