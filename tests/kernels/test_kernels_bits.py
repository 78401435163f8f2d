"""Bit strings, encoders, the highest bit: every instruction set against numpy; bad arrays are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq import kernels
from qnn_pynq.errors import KernelError
from qnn_pynq.kernels import Encoder, highest_class, pack, unpack

ISAS = kernels.isa_supported()


@pytest.fixture(autouse=True)
def _restore_isa():
    before = kernels.isa_active()
    yield
    kernels.set_isa(before)


def packed_by_numpy(values, bits):
    planes = (values[..., None] >> np.arange(bits)) & 1
    return np.packbits(
        planes.reshape(values.shape[:-1] + (values.shape[-1] * bits,)).astype(np.uint8),
        axis=-1,
        bitorder="little",
    )


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(0, 4),
    n=st.integers(1, 300),
    bits=st.integers(1, 8),
    spare=st.integers(0, 3),
)
def test_pack_and_unpack_equal_numpy(isa, seed, rows, n, bits, spare):
    kernels.set_isa(isa)
    values = np.random.default_rng(seed).integers(0, 256, size=(rows, n)).astype(np.uint8)
    words = pack(values, bits)
    np.testing.assert_array_equal(words, packed_by_numpy(values, bits))
    longer = np.full((rows, words.shape[1] + spare), 255, np.uint8)  # bits beyond count are not looked at
    longer[:, : words.shape[1]] = words
    np.testing.assert_array_equal(unpack(longer, bits, n), values & ((1 << bits) - 1))


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 9), (0, 4), (4, 0), (0,)])
def test_shapes_of_packed_arrays(shape):
    values = np.ones(shape, np.uint8)
    for bits in (1, 3, 8):
        words = pack(values, bits)
        assert words.shape == shape[:-1] + ((shape[-1] * bits + 7) // 8,)
        np.testing.assert_array_equal(unpack(words, bits, shape[-1]), values)


def test_negative_integers_pack_as_twos_complement():
    values = np.array([-1, 0, 1, -2, 1, 0, -1, -1], np.int8)
    assert pack(values.view(np.uint8), 2).tolist() == [0b10010011, 0b11110001]


def test_results_go_where_the_caller_says():
    values = np.arange(16, dtype=np.uint8).reshape(2, 8)
    out = np.empty((2, 4), np.uint8)
    assert pack(values, 4, out) is out
    back = np.empty((2, 8), np.uint8)
    assert unpack(out, 4, 8, back) is back
    np.testing.assert_array_equal(back, values)


def encoded_by_numpy(pictures, bits, index, thresholds):
    plane = np.zeros((len(pictures), bits), np.uint8)
    plane[:, : len(index)] = pictures[:, index] >= thresholds
    return np.packbits(plane, axis=1, bitorder="little")


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    pixels=st.integers(1, 900),
    spare=st.integers(0, 100),
    n=st.integers(0, 3),
    threshold=st.integers(0, 256),
)
def test_one_threshold_equals_numpy(isa, seed, pixels, spare, n, threshold):
    kernels.set_isa(isa)
    rng = np.random.default_rng(seed)
    pictures = rng.choice([0, 1, 127, 128, 254, 255], size=(n, pixels)).astype(np.uint8)
    out = np.full((n, (pixels + spare + 7) // 8), 0xAA, np.uint8)
    assert Encoder(pixels, pixels + spare, threshold=threshold).encode(pictures, out) is out
    np.testing.assert_array_equal(
        out, encoded_by_numpy(pictures, pixels + spare, np.arange(pixels), np.int64(threshold))
    )


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    pixels=st.integers(1, 900),
    used=st.integers(0, 2500),
    spare=st.integers(1, 100),
    counting=st.booleans(),
)
def test_tables_equal_numpy(isa, seed, pixels, used, spare, counting):
    kernels.set_isa(isa)
    rng = np.random.default_rng(seed)
    if counting:
        used = min(used, pixels)
        index = np.arange(used, dtype=np.uint16)
    else:
        index = rng.integers(0, pixels, size=used).astype(np.uint16)
    thresholds = rng.integers(0, 256, size=used).astype(np.uint8)
    pictures = rng.integers(0, 256, size=(2, pixels)).astype(np.uint8)
    encoder = Encoder(pixels, used + spare, index=index, thresholds=thresholds)
    index[:], thresholds[:] = 0, 0  # the encoder has its own
    rng = np.random.default_rng(seed)
    if counting:
        index = np.arange(used, dtype=np.uint16)
    else:
        index = rng.integers(0, pixels, size=used).astype(np.uint16)
    thresholds = rng.integers(0, 256, size=used).astype(np.uint8)
    np.testing.assert_array_equal(
        encoder.encode(pictures), encoded_by_numpy(pictures, used + spare, index, thresholds)
    )


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"pixels": 0, "bits": 8, "threshold": 1}, "pixels is 0"),
        ({"pixels": 8, "bits": 7, "threshold": 1}, "makes 8 bits, expected at most 7"),
        ({"pixels": 8, "bits": 8}, "needs threshold, or index and thresholds"),
        ({"pixels": 8, "bits": 8, "threshold": 257}, "threshold is 257"),
        ({"pixels": 8, "bits": 8, "threshold": 1.5}, "threshold is 1.5"),
        ({"pixels": 8, "bits": 8, "threshold": 1, "thresholds": np.zeros(8, np.uint8)}, "not both"),
        ({"pixels": 8, "bits": 8, "index": np.zeros(8, np.uint16)}, "needs"),
        (
            {"pixels": 8, "bits": 8, "index": np.zeros(8, np.int64), "thresholds": np.zeros(8, np.uint8)},
            "index has dtype",
        ),
        (
            {"pixels": 8, "bits": 8, "index": np.zeros(8, np.uint16), "thresholds": np.zeros(7, np.uint8)},
            "thresholds has shape",
        ),
        (
            {"pixels": 8, "bits": 8, "index": np.full(8, 8, np.uint16), "thresholds": np.zeros(8, np.uint8)},
            "names pixel 8",
        ),
    ],
)
def test_bad_encoders_are_refused(arguments, words):
    with pytest.raises(KernelError, match=words):
        Encoder(**arguments)


@settings(max_examples=50, deadline=None)
@given(
    words=st.lists(
        st.one_of(st.just(0), st.integers(0, 2**64 - 1), st.integers(0, 63).map(lambda b: 1 << b)),
        max_size=20,
    ),
    mask=st.one_of(st.just(2**64 - 1), st.integers(0, 2**64 - 1)),
)
def test_the_highest_class_is_pythons_bit_length_modulo_the_classes(words, mask):
    expected = [(w & mask).bit_length() - 1 for w in words]
    array = np.array(words, np.uint64)
    out = np.empty(len(words), np.intp)
    for classes in (1, 10, 64):
        assert highest_class(array, classes, mask, out)[0] is out
        answers, none = highest_class(array, classes, mask)
        assert answers.tolist() == out.tolist()
        assert answers.dtype == np.intp
        assert answers.tolist() == [max(0, bit) % classes for bit in expected]
        assert none == expected.count(-1)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: pack([1, 2]), "expected a numpy array"),
        (lambda: pack(np.uint8(3)), "expected a numpy array"),
        (lambda: pack(np.zeros(4, np.int32)), "dtype int32, expected uint8"),
        (lambda: pack(np.zeros(4, bool)), "dtype bool"),
        (lambda: pack(np.zeros(4, np.uint8), 0), "bits is 0, expected 1 to 8"),
        (lambda: pack(np.zeros(4, np.uint8), 9), "bits is 9"),
        (lambda: pack(np.zeros(4, np.uint8), True), "bits is True"),
        (lambda: pack(np.zeros(8, np.uint8)[::2]), "strides"),
        (lambda: pack(np.zeros(8, np.uint8), 1, np.zeros(2, np.uint8)), "out has shape"),
        (lambda: unpack(np.zeros(1, np.uint8), 2, 5), "count is 5, expected 0 to 4"),
        (lambda: unpack(np.zeros(1, np.uint8), 2, -1), "count is -1"),
        (lambda: unpack(np.zeros((2, 2), np.uint8).T, 2, 1), None),
        (lambda: Encoder(4, 8, threshold=1).encode(np.zeros((1, 5), np.uint8)), "pictures has shape"),
        (lambda: Encoder(4, 8, threshold=1).encode(np.zeros(4, np.uint8)), "pictures has shape"),
        (lambda: Encoder(4, 8, threshold=1).encode(np.zeros((1, 4), np.float64)), "pictures has dtype"),
        (lambda: highest_class(np.zeros(2, np.int64), 10), "words has dtype"),
        (lambda: highest_class(np.zeros(2, np.uint64), 0), "classes is 0"),
        (lambda: highest_class(np.zeros(2, np.uint64), 65), "classes is 65"),
        (lambda: highest_class(np.zeros(2, np.uint64), 10, out=np.zeros(2, np.int8)), "out has dtype"),
        (lambda: highest_class(np.zeros(17, np.uint8)[1:].view(np.uint64), 10), "aligned"),
        (lambda: highest_class(np.zeros((2, 2), np.uint64), 10), "words has shape"),
        (lambda: highest_class(np.zeros(2, np.uint64), 10, -1), "mask is -1"),
        (lambda: highest_class(np.zeros(2, np.uint64), 10, 1 << 64), "mask is"),
    ],
)
def test_bad_arrays_are_refused(call, words):
    with pytest.raises(KernelError, match=words or "strides"):
        call()


@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(1, 4), st.integers(1, 4), st.data())
def test_moved_bits_equal_numpy_and_leave_the_others(seed, rows, source_words, target_words, data):
    rng = np.random.default_rng(seed)
    source = rng.integers(0, 256, (rows, 8 * source_words)).astype(np.uint8)
    target = rng.integers(0, 256, (rows, 8 * target_words)).astype(np.uint8)
    count = data.draw(st.integers(0, 64 * min(source_words, target_words)))
    first = data.draw(st.integers(0, 64 * source_words - count))
    place = data.draw(st.integers(0, 64 * target_words - count))
    wanted = np.unpackbits(target, axis=1, bitorder="little")
    wanted[:, place:place + count] = np.unpackbits(source, axis=1, bitorder="little")[:, first:first + count]
    kernels.move_bits(source, first, target, place, count)
    assert np.array_equal(np.unpackbits(target, axis=1, bitorder="little"), wanted)


@pytest.mark.parametrize("change", [
    {"bits": 65}, {"source_bit": 1}, {"target_bit": -1}, {"target_bit": 65}, {"bits": -1}, {"bits": 1.5},
    {"source": np.zeros((2, 7), np.uint8)}, {"source": np.zeros((1, 8), np.uint8)},
    {"target": np.zeros((2, 8), np.int8)}, {"target": np.zeros((2, 16), np.uint8)[:, ::2]},
])
def test_bits_are_not_moved_out_of_or_beyond_a_row(change):
    good = {"source": np.zeros((2, 8), np.uint8), "source_bit": 0, "target": np.zeros((2, 8), np.uint8),
            "target_bit": 0, "bits": 64}
    kernels.move_bits(**good)
    with pytest.raises(KernelError):
        kernels.move_bits(**{**good, **change})
