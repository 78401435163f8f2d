"""Layers and pools of the engine's twin against the circuit in plain numpy, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from engine_words import Circuit, Rig, end, layer
from hypothesis import given, settings
from hypothesis import strategies as st

CASES = settings(max_examples=40, deadline=None)


def check(pe, vectors, seed, fields, pool=False, circuit=None):
    """The twin leaves what the description says, in every memory."""
    circuit = circuit or Circuit(pe, vectors, seed)
    rig = Rig(pe, vectors)
    circuit.give_to(rig.twin)
    assert rig.run(layer(pool, **fields), end()) & 0xFF02 == 2
    circuit.run(pool, **fields)
    assert circuit.agrees_with(rig.twin)
    return circuit


# input at 0.., output from 1000 on: a layer that does not read what it writes
def sane(draw):
    """A small convolution as a compiler would map it."""
    pick = lambda low, high: draw(st.integers(low, high))  # noqa: E731
    ab, wb, words, kx, ky, stride = pick(1, 4), pick(1, 3), pick(1, 2), pick(1, 3), pick(1, 3), pick(1, 3)
    width, height = pick(1, 4), pick(1, 4)
    groups, rgs = pick(1, 2), pick(1, 3)
    taps = kx * ky * words
    return {
        "ab": ab, "wb": wb, "n0": words, "kx": kx, "ky": ky, "stride": stride, "ox": pick(1, 3), "oy": pick(1, 3),
        "in_w": width, "in_h": height, "ix0": -pick(0, 2), "iy0": -pick(0, 2), "pad": pick(0, 255),
        "in_ptr": 256, "st_0": 1, "st_plane": words, "st_kx": ab * words, "st_ky": width * ab * words,
        "st_ox": stride * ab * words, "st_oy": stride * width * ab * words, "st_group": pick(0, 1), "groups": groups,
        "rgs": rgs, "kw": taps, "wrow": wb * taps, "w_base": pick(0, 50), "t_base": pick(0, 511),
        "wsh": pick(0, 1), "beta": pick(0, 255),
        "out_ptr": 1000, "out_sub": pick(0, 3), "st_out": 8, "st_oplane": pick(1, 4),
    }


@st.composite
def thresholded(draw):
    return dict(sane(draw), nt=draw(st.sampled_from([1, 2, 3, 4, 7, 15])), ob=draw(st.integers(1, 4)))


@st.composite
def raw(draw):
    return dict(sane(draw), raw=1, nt=draw(st.integers(1, 8)), st_out=200, st_oplane=5)


@CASES
@given(thresholded(), st.integers(0, 2**32))
def test_codes_are_those_of_the_description(fields, seed):
    check(4, 2, seed, fields)


@CASES
@given(raw(), st.integers(0, 2**32))
def test_raw_sums_are_those_of_the_description(fields, seed):
    check(4, 2, seed, fields)


@st.composite
def pooled(draw):
    bits = draw(st.integers(1, 4))
    words = draw(st.integers(1, 3))
    width, stride = draw(st.integers(1, 5)), draw(st.integers(1, 2))
    return {
        "ob": bits, "n0": bits, "in_ptr": 256 + (bits - 1) * words, "st_0": 4096 - words, "kx": draw(st.integers(1, 3)),
        "ky": draw(st.integers(1, 3)), "st_kx": bits * words, "st_ky": width * bits * words, "st_group": 1,
        "groups": words, "stride": stride, "st_ox": stride * bits * words, "st_oy": stride * width * bits * words,
        "ox": draw(st.integers(1, 3)), "oy": draw(st.integers(1, 3)), "in_w": width, "in_h": draw(st.integers(1, 5)),
        "ix0": -draw(st.integers(0, 1)), "iy0": -draw(st.integers(0, 1)), "pad": draw(st.integers(0, 255)),
        "out_ptr": 1000, "st_out": words * bits, "st_oplane": words,
    }


@CASES
@given(pooled(), st.integers(0, 2**32))
def test_pools_are_those_of_the_description(fields, seed):
    check(4, 2, seed, fields, pool=True)


@st.composite
def hostile(draw):
    """Any field anything, but few enough words for the test."""
    wild = {name: draw(st.integers(0, 4095)) for name in (
        "in_ptr", "out_ptr", "in_alt", "out_alt", "st_0", "st_kx", "st_ky", "st_plane", "st_group", "st_ox", "st_oy",
        "st_out", "st_oplane")}
    wild.update({name: draw(st.integers(0, 2047)) for name in ("w_base", "wrow", "kw")})
    wild.update({name: draw(st.integers(0, 15)) for name in ("in_ring", "out_ring")})
    wild.update({name: draw(st.integers(0, 511)) for name in ("ix0", "iy0", "t_base")})
    wild.update({name: draw(st.integers(0, 255)) for name in ("beta", "pad", "safe")})
    wild.update({name: draw(st.integers(1, 256)) for name in ("in_w", "in_h")})
    for name, most in (("n0", 3), ("kx", 2), ("ky", 2), ("ox", 2), ("oy", 2), ("rgs", 2), ("groups", 2), ("ab", 8),
                       ("wb", 8), ("ob", 4), ("stride", 4), ("nt", 15)):
        wild[name] = draw(st.integers(1, most))
    for name in ("raw", "wsh"):
        wild[name] = draw(st.integers(0, 1))
    if wild["raw"]:
        wild["nt"] = min(wild["nt"], 8)
    return wild


@settings(max_examples=25, deadline=None)
@given(hostile(), st.integers(0, 2**32))
def test_hostile_layers_compute_what_the_description_says(fields, seed):
    check(4, 2, seed, fields)


@settings(max_examples=25, deadline=None)
@given(hostile(), st.integers(0, 2**32))
def test_hostile_pools_compute_what_the_description_says(fields, seed):
    fields = dict(fields, n0=fields["ob"], raw=0, ab=1, wb=1, rgs=1)
    check(4, 2, seed, fields, pool=True)


@pytest.mark.parametrize("pe, vectors", [(4, 8), (16, 4), (16, 6), (32, 2), (32, 4), (32, 8)])
def test_every_size_of_array_computes_the_same_things(pe, vectors):
    fields = {"ab": 2, "wb": 2, "n0": 2, "kx": 2, "ky": 2, "ox": 2, "oy": 2, "in_w": 3, "in_h": 3, "ix0": -1, "iy0": -1,
              "in_ptr": 64, "st_plane": 2, "st_kx": 4, "st_ky": 12, "st_ox": 4, "st_oy": 12, "kw": 8, "wrow": 16,
              "rgs": 3, "nt": 3, "ob": 2, "wsh": 1, "beta": 1, "pad": 1, "out_ptr": 800, "st_out": 16, "st_oplane": 8}
    circuit = check(pe, vectors, 7, fields)
    check(pe, vectors, 7, dict(fields, raw=1, nt=5, st_out=60, st_oplane=3, out_ptr=500), circuit=circuit)


def test_sums_wrap_at_24_bits():
    """All ones: 8 bits times 8 bits of 128 words times 64 lanes."""
    circuit = Circuit(4, 2)
    circuit.weights[:] = circuit.banks[:] = 2**64 - 1
    fields = {"ab": 8, "wb": 8, "n0": 128, "st_plane": 128, "kw": 128, "raw": 1, "nt": 8, "out_ptr": 1500,
              "st_oplane": 1, "beta": 3, "wsh": 1}
    check(4, 2, 0, fields, circuit=circuit)
    total = 128 * 64 * 255
    expected = (2 * total * 255 - total * 3 + 2**23) % 2**24 - 2**23
    planes = [int(circuit.banks[0, 1500 + b]) & 1 for b in range(32)]
    found = sum(bit << b for b, bit in enumerate(planes))
    assert found == expected % 2**32


def test_large_layers_are_exact_although_they_are_cut_into_parts():
    """More taps, rows and pixels than are computed at once; against products in 64-bit integers."""
    rng = np.random.default_rng(3)
    circuit, rig = Circuit(32, 2, 5), Rig(32, 2)
    circuit.banks[:, 1024:] = 0
    circuit.give_to(rig.twin)
    fields = {"n0": 256, "ky": 3, "st_ky": 256, "ab": 1, "rgs": 9, "wrow": 64, "raw": 1, "nt": 6, "ox": 3, "st_ox": 1,
              "out_ptr": 1030, "st_oplane": 5, "st_out": 130, "in_w": 200, "ix0": 100}
    assert rig.run(layer(**fields), end()) & 2
    banks = np.unpackbits(circuit.banks.view(np.uint8), axis=1, bitorder="little").reshape(2, -1, 64).astype(np.int64)
    memory = np.zeros((32, 2048, 64), np.int64)
    memory[:, :1536] = np.unpackbits(circuit.weights.view(np.uint8), axis=1, bitorder="little").reshape(32, -1, 64)
    for _ in range(40):
        v, p, row, pixel = (int(rng.integers(most)) for most in (2, 32, 9, 3))
        expected = int((memory[p, row * 64 : row * 64 + 768] * banks[v, pixel : pixel + 768]).sum())
        word, sub = divmod(row, 2)
        stored = rig.twin.memories.banks[v, 1030 + pixel * 130 + word + 5 * np.arange(24)].tolist()
        assert sum((value >> 32 * sub + p & 1) << b for b, value in enumerate(stored)) == expected


def test_a_part_of_a_word_leaves_the_lower_ones_and_the_first_clears_the_rest():
    circuit = Circuit(16, 2)
    circuit.banks[:, 100] = 2**64 - 1
    circuit.thresholds[:] = 1 << 20  # below every sum: all codes are 1
    check(16, 2, 0, {"out_ptr": 100, "out_sub": 2}, circuit=circuit)
    assert int(circuit.banks[0, 100]) == 2**64 - 1
    circuit.thresholds[:] = 0xFFFFF  # above every sum
    check(16, 2, 0, {"out_ptr": 100, "out_sub": 2}, circuit=circuit)
    assert int(circuit.banks[0, 100]) == 2**64 - 1 - (0xFFFF << 32)
    check(16, 2, 0, {"out_ptr": 100}, circuit=circuit)
    assert int(circuit.banks[0, 100]) == 0


def test_a_layer_that_reads_its_own_results_goes_on_row_group_by_row_group():
    """A shift register of pixels: each reads what the one before has written."""
    circuit = Circuit(4, 2)
    circuit.weights[:, 0] = 1
    circuit.thresholds[:, :4] = 1
    circuit.banks[:, 10] = 1
    check(4, 2, 0, {"in_ptr": 10, "st_ox": 1, "ox": 20, "out_ptr": 11, "st_out": 1}, circuit=circuit)
    assert [int(w) for w in circuit.banks[0, 10:32]] == [1] + 20 * [15] + [0]


@pytest.mark.parametrize("direction", [0, 1])
def test_thresholds_compare_in_both_directions_and_with_sign(direction):
    circuit = Circuit(4, 2)
    circuit.banks[:, 0] = 3  # a sum of activations of 2, times the offset: D = -2 for weights of 0
    for place, level in enumerate((-3, -2, -1, 0)):
        circuit.thresholds[0, place] = (level & 0x1FFFFF) | direction << 63
    check(4, 2, 0, {"beta": 1, "out_ptr": 8}, circuit=circuit)
    assert int(circuit.banks[0, 8]) == (0b1100 if direction else 0b0011)
