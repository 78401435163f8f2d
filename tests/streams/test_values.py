"""Arrays into words and back, beside the end-to-end tests: what the kernel sees, places in messages."""
from __future__ import annotations

import numpy as np
import pytest
from stream_circuits import stream

from qnn_pynq.errors import InputError
from qnn_pynq.streams import describe
from qnn_pynq.streams.values import check_array, decode, encode


def first(kind, shape, **more):
    return describe("loopback", [stream("x", kind, shape, **more)], [stream("y")]).inputs[0]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "<f4", ">f8", "i1", "u2", ">i4", "u8", "?"])
def test_every_real_dtype_gives_the_same_words(dtype):
    x = np.array([[[1, 0], [1, 1]]], dtype)
    for given in (x, np.asfortranarray(x), x[:, ::-1][:, ::-1], np.concatenate([x, x])[::2]):
        it = first("ap_fixed<16,6>", (2, 2))
        array, single = check_array(it, given)
        words = np.empty((1, 4), np.int16)
        encode(it, array, words)
        assert not single and words.tolist() == [[1024, 0, 1024, 1024]]


def test_the_place_of_a_wrong_number_is_that_of_the_users_array():
    it = first("ap_int<4>", (2, 3))
    x = np.zeros((5, 2, 3), int)
    x[3, 1, 2] = 8
    with pytest.raises(InputError, match=r'x\[3, 1, 2\] is 8: ap_int<4> holds -8 to 7; scale the data, or describe'):
        encode(it, check_array(it, x)[0], np.empty((5, 6), np.int8))


def test_an_object_that_is_no_array_after_all_is_refused():
    class Tensor:
        def __array__(self, *_, **__):
            raise RuntimeError("it requires grad")

    with pytest.raises(InputError, match=r"x: no array \(it requires grad\); expected shape \(3,\) for one sample"):
        check_array(first("ap_fixed<16,6>", (3,)), Tensor())


def test_the_limits_of_raw_bits_are_exact():
    it = first("ap_fixed<64,32>", (1,), raw=True)
    with pytest.raises(InputError, match="holds -9223372036854775808 to 9223372036854775807;"):
        encode(it, check_array(it, np.array([2**63], np.uint64))[0], np.empty((1, 1), np.int64))


@pytest.mark.parametrize("kind, words, expected", [
    ("ap_fixed<12,4>", np.array([[0x7FF, -1, -0x8000, 0x1234]], np.int16), [2047 / 256, -1 / 256, 0.0, 564 / 256]),
    ("ap_uint<3>", np.array([[255, 8, 7, 0]], np.uint8), [7, 0, 7, 0]),
    ("ap_int<3>", np.array([[3, 4, -1, 8]], np.int8), [3, -4, -1, 0]),
    ("float", np.array([[1.5, np.inf, -0.0, 1e-45]], np.float32), [1.5, np.inf, -0.0, 1.401298464324817e-45]),
])
def test_results_are_new_arrays_of_the_declared_type(kind, words, expected):
    it = first(kind, (4,))
    before = words.copy()
    got = decode(it, words)
    assert got.dtype == it.type.result and got.tolist() == [expected] and not np.shares_memory(got, words)
    assert np.array_equal(words, before)


def test_floats_pass_as_they_are_but_do_not_overflow():
    it = first("float", ())
    words = np.empty((3, 1), np.float32)
    encode(it, check_array(it, np.array([np.inf, np.nan, 1e-50]))[0], words)
    assert np.isinf(words[0, 0]) and np.isnan(words[1, 0]) and words[2, 0] == 0
    with pytest.raises(InputError, match=r"x\[1\] is -1e\+39: float holds .*; scale the data$"):
        encode(it, check_array(it, np.array([1.0, -1e39]))[0], words[:2])
