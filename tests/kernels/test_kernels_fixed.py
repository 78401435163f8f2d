"""Casting to fixed point in C against exact fractions, and against plain numpy on many numbers."""
from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq.errors import KernelError
from qnn_pynq.kernels.fixed import FIXED_OVERFLOWS, FIXED_ROUNDINGS, fixed_container, from_fixed, to_fixed


def exact(value, width, fraction, signed, rounding, overflow):
    """The integer that UG902 (ap_fixed: quantization and overflow modes) gives, or None where it is refused."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    scaled = Fraction(value) * Fraction(2) ** fraction
    low = scaled.numerator // scaled.denominator
    rest = scaled - low
    if rest == Fraction(1, 2):
        up = {"AP_TRN": False, "AP_TRN_ZERO": scaled < 0, "AP_RND": True, "AP_RND_MIN_INF": False,
              "AP_RND_ZERO": scaled < 0, "AP_RND_INF": scaled > 0, "AP_RND_CONV": low % 2 == 1}[rounding]
    elif rounding == "AP_TRN":
        up = False
    elif rounding == "AP_TRN_ZERO":
        up = scaled < 0 and rest > 0
    else:
        up = rest > Fraction(1, 2)
    q = low + up
    lowest, highest = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    if overflow == "AP_SAT_SYM" and signed:
        lowest = -max(highest, 1)  # of one bit, Xilinx's own ap_fixed.h keeps -1
    if lowest <= q <= highest:
        return q
    if overflow == "AP_WRAP":
        q %= 1 << width
        return q - (1 << width) if signed and q >> (width - 1) else q
    return {"AP_SAT": lowest if q < 0 else highest, "AP_SAT_SYM": lowest if q < 0 else highest,
            "AP_SAT_ZERO": 0, "refuse": None}[overflow]


def check(values, width, fraction, signed, rounding, overflow):
    wanted = [exact(value, width, fraction, signed, rounding, overflow) for value in values.tolist()]
    got, refused = to_fixed(values, width, fraction, signed, rounding, overflow)
    if None in wanted:
        assert refused == wanted.index(None)
    else:
        assert refused == -1 and got.tolist() == wanted


TYPES = st.tuples(st.integers(1, 64), st.integers(-70, 200), st.booleans())
MODES = [(rounding, overflow) for rounding in FIXED_ROUNDINGS for overflow in FIXED_OVERFLOWS]


def near_the_edges(width, fraction, signed):
    """Limits, ties and their neighbours, as exact multiples of a quarter step where a double can hold them."""
    limits = [0, 1, 2, 3, (1 << width - 1) - 1, 1 << width - 1, (1 << width) - 1, 1 << width, 3 << width]
    found = []
    limits += [1 << 63, 1 << 64]
    for limit in limits:
        for quarter in range(-5, 6):
            for sign in (1, -1):
                scaled = sign * (Fraction(limit) + Fraction(quarter, 4)) / Fraction(2) ** fraction
                if abs(scaled) < Fraction(2) ** 1000:
                    value = float(scaled)
                    found += [value, float(np.nextafter(value, math.inf)), float(np.nextafter(value, -math.inf))]
    return found + [5e-324, -5e-324, 1.7e308, -1.7e308, 0.0, -0.0, 0.49999999999999994, -0.49999999999999994]


@pytest.mark.parametrize("rounding, overflow", MODES)
@pytest.mark.parametrize("width, fraction, signed", [
    (16, 10, True), (8, 0, False), (1, 0, False), (1, 0, True), (32, 31, True), (33, 7, True), (64, 0, True),
    (64, 3, False), (12, -5, True)])
def test_worst_cases_are_exact(width, fraction, signed, rounding, overflow):
    every = near_the_edges(width, fraction, signed)
    if overflow == "refuse":  # one at a time, or the first hides the others
        for value in every:
            check(np.array([value]), width, fraction, signed, rounding, overflow)
    else:
        check(np.array(every), width, fraction, signed, rounding, overflow)
    for dtype in (np.float64, np.float32):  # a block without a number outside goes another way
        given = np.array(every, np.float64)
        given = given[np.abs(given) < 1e38].astype(dtype)
        inside = [value for value in given.tolist()
                  if exact(value, width, fraction, signed, rounding, "refuse") is not None]
        check(np.array(inside, dtype), width, fraction, signed, rounding, overflow)


@settings(max_examples=300, deadline=None)
@given(TYPES, st.sampled_from(MODES), st.lists(st.floats(width=64), max_size=8))
def test_any_double_is_exact(kind, modes, values):
    check(np.array(values, np.float64), *kind, *modes)


@settings(max_examples=150, deadline=None)
@given(TYPES, st.sampled_from(MODES), st.lists(st.floats(width=32), max_size=8))
def test_any_float_is_exact(kind, modes, values):
    check(np.array(values, np.float32), *kind, *modes)


@settings(max_examples=300, deadline=None)
@given(TYPES, st.sampled_from(MODES), st.lists(st.integers(-2**63, 2**63 - 1), max_size=8), st.booleans())
def test_any_integer_is_exact(kind, modes, values, unsigned):
    if unsigned:
        check(np.array([value + 2**63 for value in values], np.uint64), *kind, *modes)
    else:
        check(np.array(values, np.int64), *kind, *modes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width, fraction, signed", [(16, 10, True), (8, 7, True), (8, 8, False), (16, 4, False),
                                                     (32, 16, True), (27, 30, True)])
def test_many_random_numbers_are_what_plain_numpy_gives(dtype, width, fraction, signed):
    lowest, highest = (-2.0**(width - 1), 2.0**(width - 1) - 1) if signed else (0.0, 2.0**width - 1)
    values = np.random.RandomState(width).uniform(1.5 * lowest, 1.5 * highest, 10_007) / 2.0**fraction
    values = values.astype(dtype)
    scaled = values.astype(np.float64) * 2.0**fraction
    for rounding, plain in (("AP_RND_CONV", np.rint), ("AP_TRN", np.floor), ("AP_TRN_ZERO", np.trunc)):
        clipped = np.clip(plain(scaled), lowest, highest)
        got, refused = to_fixed(values, width, fraction, signed, rounding, "AP_SAT")
        assert refused == -1 and np.array_equal(got, clipped)
        inside = values[plain(scaled) == clipped]
        got, refused = to_fixed(inside, width, fraction, signed, rounding)
        assert refused == -1 and np.array_equal(got, plain(inside.astype(np.float64) * 2.0**fraction))


@pytest.mark.parametrize("place", [0, 1, 255, 256, 700, 999])
@pytest.mark.parametrize("bad", [32.0, -32.001, np.nan, np.inf, 1e300])
def test_the_first_number_that_does_not_fit_is_found(place, bad):
    values = np.zeros(1000)
    values[place] = bad
    assert to_fixed(values, 16, 10)[1] == place
    values[place] = 31.9994  # rounds to 32767.39 steps: fits
    assert to_fixed(values, 16, 10)[1] == -1


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 64), st.integers(-70, 200), st.booleans(), st.lists(st.integers(0, 2**64 - 1), max_size=8))
def test_only_the_low_bits_of_a_container_count(width, fraction, signed, words):
    dtype = fixed_container(width, signed)
    raw = np.array(words, np.uint64).astype(f"u{dtype.itemsize}").view(dtype)
    wanted = []
    for word in words:
        low = word % (1 << width)
        wanted.append(low - (1 << width) if signed and low >> (width - 1) else low)
    assert from_fixed(raw, width, fraction, signed, dtype).tolist() == wanted
    assert from_fixed(raw, width, fraction, signed).tolist() == [float(q) * 2.0**-fraction for q in wanted]
    if width <= 24 and abs(fraction) <= 100:
        assert from_fixed(raw, width, fraction, signed, np.float32).tolist() == [q * 2.0**-fraction for q in wanted]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 53), st.integers(-40, 90), st.booleans(), st.data())
def test_there_and_back_is_the_same(width, fraction, signed, data):
    dtype = fixed_container(width, signed)
    limits = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    raw = np.array(data.draw(st.lists(st.integers(*limits), max_size=300)), dtype)
    again, refused = to_fixed(from_fixed(raw, width, fraction, signed), width, fraction, signed)
    assert refused == -1 and np.array_equal(again, raw) and again.dtype == dtype


def test_results_go_into_the_callers_array_in_any_shape():
    out = np.zeros((2, 3), np.int16)
    got, refused = to_fixed(np.full((2, 3), 1.5), 12, 4, out=out)
    assert got is out and refused == -1 and (out == 24).all()
    back = np.zeros((2, 3), np.float32)
    assert from_fixed(out, 12, 4, dtype=np.float32, out=back) is back and (back == 1.5).all()
    assert to_fixed(np.zeros((0, 4)), 8, 0)[0].shape == (0, 4)


@pytest.mark.parametrize("change, message", [
    ({"width": 0}, "width is 0, expected 1 to 64"),
    ({"width": 65}, "width is 65"),
    ({"fraction": 2000}, "fraction is 2000"),
    ({"rounding": "up"}, "rounding is 'up', expected one of AP_TRN"),
    ({"overflow": "AP_TRN"}, "overflow is 'AP_TRN', expected one of AP_WRAP"),
    ({"values": np.zeros(3, np.int8)}, "values are int8, expected an array of float32"),
    ({"values": [1.0]}, "values are list"),
    ({"values": np.zeros(6)[::2]}, "strides"),
    ({"out": np.zeros(3, np.int8)}, "out has dtype int8, expected int16"),
])
def test_what_does_not_fit_is_refused_before_c_sees_it(change, message):
    arguments = {"values": np.zeros(3), "width": 16, "fraction": 10, **change}
    with pytest.raises(KernelError, match=message):
        to_fixed(**arguments)


def test_containers_of_another_dtype_are_refused():
    with pytest.raises(KernelError, match="raw has dtype int32, expected int16"):
        from_fixed(np.zeros(3, np.int32), 12, 4)
    with pytest.raises(KernelError, match="dtype is int32, expected float32, float64 or int16"):
        from_fixed(np.zeros(3, np.int16), 12, 4, dtype=np.int32)
