"""Types of streams: what text means, what they hold, what the circuit makes of values."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn_pynq.errors import DescriptorError, InputError, QnnError
from qnn_pynq.streams import StreamType, parse_type


@pytest.mark.parametrize("text, spelt, container, result, limits", [
    ("ap_fixed<16,6>", "ap_fixed<16,6>", "i2", "f4", (-32.0, 32 - 2**-10)),
    (" ap_fixed < 16 , 6 > ", "ap_fixed<16,6>", "i2", "f4", (-32.0, 32 - 2**-10)),
    ("ap_ufixed<8,0,AP_RND,AP_SAT>", "ap_ufixed<8,0,AP_RND,AP_SAT>", "u1", "f4", (0.0, 255 / 256)),
    ("ap_fixed<12,14>", "ap_fixed<12,14>", "i2", "f4", (-8192.0, 8188.0)),
    ("ap_fixed<25,1>", "ap_fixed<25,1>", "i4", "f8", (-1.0, 1 - 2**-24)),
    ("ap_fixed<8,-110>", "ap_fixed<8,-110>", "i1", "f8", (-2.0**-111, 127 * 2.0**-118)),
    ("ap_int<12>", "ap_int<12>", "i2", "i2", (-2048, 2047)),
    ("ap_uint<64>", "ap_uint<64>", "u8", "u8", (0, 2**64 - 1)),
    ("uint8", "ap_uint<8>", "u1", "u1", (0, 255)),
    ("int64", "ap_int<64>", "i8", "i8", (-2**63, 2**63 - 1)),
    ("bool", "ap_uint<1>", "u1", "u1", (0, 1)),
    ("float32", "float", "f4", "f4", (-3.4028234663852886e38, 3.4028234663852886e38)),
    ("double", "double", "f8", "f8", (-1.7976931348623157e308, 1.7976931348623157e308)),
])
def test_a_type_is_what_its_text_says(text, spelt, container, result, limits):
    kind = parse_type(text)
    assert (kind.text, kind.container, kind.result) == (spelt, np.dtype(container), np.dtype(result))
    assert kind.limits == limits
    assert parse_type(spelt) == kind and parse_type(kind) is kind


@pytest.mark.parametrize("text, message", [
    ("fixed<16,6>", '"fixed<16,6>" is no type: expected ap_fixed<W,I>'),
    ("ap_fixed<16>", "expected ap_fixed<W,I>, such as ap_fixed<16,6,AP_RND,AP_SAT>"),
    ("ap_fixed<16,6,AP_RND,AP_SAT,1>", "is no type"),
    ("ap_fixed<06,6>", "is no type"),
    ("ap_uint<8,8>", "expected ap_uint<W>, such as ap_uint<12>"),
    ("ap_int<65>", '"ap_int<65>" has 65 bits: expected 1 to 64'),
    ("ap_int<0>", "has 0 bits"),
    ("ap_fixed<16,6,AP_SAT>", "AP_SAT is no mode of rounding: expected AP_TRN, AP_RND"),
    ("ap_fixed<16,6,AP_RND,AP_RND>", "AP_RND is no mode of overflow: expected AP_WRAP"),
    ("ap_fixed<16,200>", "200 bits before the point: expected -128 to 128"),
    ("", "is no type"), (16, "16 is no type"), (None, "None is no type"),
])
def test_other_texts_are_refused_with_what_is_expected(text, message):
    with pytest.raises(DescriptorError, match="^" + "[^\n]*" + message.replace("<", "<")):
        parse_type(text)


@given(st.text(alphabet="ap_ufixedint<>0123456789,- RNDSTWMVCOZ", max_size=30))
def test_any_text_is_a_type_or_our_error(text):
    try:
        assert isinstance(parse_type(text), StreamType)
    except QnnError as error:
        assert "expected" in str(error)


@pytest.mark.parametrize("text, values, expected", [
    ("ap_fixed<6,4>", [0.49, -0.01, 9.0, 100], [0.25, -0.25, -7.0, 4.0]),
    ("ap_fixed<6,4,AP_RND_CONV,AP_SAT>", [0.375, 0.125, 9.0, -100], [0.5, 0.0, 7.75, -8.0]),
    ("ap_int<4>", [7, 8, -9], [7, -8, 7]),
    ("float", [0.1], [np.float32(0.1)]),
])
def test_quantise_is_what_a_variable_of_the_circuit_keeps(text, values, expected):
    assert parse_type(text).quantise(values).tolist() == expected


def test_quantise_refuses_what_is_no_number():
    for values, message in (([1, np.nan], "nan is no finite number"), ("abc", "dtype <U3: expected real numbers"),
                            ([[1], [1, 2]], "ap_fixed<6,4>: "), (1j, "dtype complex128")):
        with pytest.raises(InputError, match=message):
            parse_type("ap_fixed<6,4>").quantise(values)
    with pytest.raises(InputError, match="dtype complex128"):
        parse_type("float").quantise(1j)


@pytest.mark.parametrize("text", ["ap_fixed<6,4>", "ap_int<4>", "float"])
def test_quantise_keeps_the_shape(text):
    for values in (3, np.zeros((2, 3)).T, np.zeros((0, 4))):
        assert parse_type(text).quantise(values).shape == np.shape(values)
