"""The oracle of the engine against sums over what codes mean; the generator of programs against its promises."""

from __future__ import annotations

import numpy as np
import pytest
from engine_bench.cases import CONFIGURATIONS, make_case, words_of
from engine_bench.fields import END, FIELDS, LAYER, LENGTH, POOL, RESERVED, decode, encode
from engine_bench.hostile import WAYS, make_hostile
from engine_bench.oracle import BAD_PROGRAM, Memory, Oracle, Region, pack, unpack

LANES = 64
NOWHERE = (Region(),) * 4


def planes_into(oracle, values, base, bits):
    """Stored values (V, H, W, channels) into the banks as [pixel][plane][word]."""
    V, H, W, C = values.shape
    words = -(-C // LANES)
    for v in range(V):
        for pixel, lanes in enumerate(values[v].reshape(-1, C)):
            padded = np.zeros(words * LANES, dtype=np.int64)
            padded[:C] = lanes
            for p in range(bits):
                for c in range(words):
                    oracle.banks[v, base + (pixel * bits + p) * words + c] = pack(
                        padded[LANES * c : LANES * c + LANES] >> p & 1
                    )


def planes_from(oracle, base, shape, bits):
    V, H, W, C = shape
    words = -(-C // LANES)
    found = np.zeros((V, H * W, words * LANES), dtype=np.int64)
    for v in range(V):
        for pixel in range(H * W):
            for p in range(bits):
                for c in range(words):
                    lanes = unpack(oracle.banks[v, base + (pixel * bits + p) * words + c]).astype(np.int64)
                    found[v, pixel, LANES * c : LANES * c + LANES] += lanes << p
    return found[:, :, :C].reshape(V, H, W, C)


def weights_into(oracle, stored, bits, words):
    """Stored weights (rows, ky, kx, channels) into the elements, rows by groups of P; words of a plane."""
    rows, ky, kx, C = stored.shape
    kw = ky * kx * words
    for n in range(rows):
        g, p = divmod(n, oracle.P)
        for i in range(bits):
            for y in range(ky):
                for x in range(kx):
                    lanes = np.zeros(words * LANES, dtype=np.int64)
                    lanes[:C] = stored[n, y, x]
                    for c in range(words):
                        word = pack(lanes[LANES * c : LANES * c + LANES] >> i & 1)
                        oracle.weights[p, (g * bits + i) * kw + (y * kx + x) * words + c] = word


def convolve(x, w, stride, pad, outside):
    """Plain sums: x (V, H, W, C), w (rows, ky, kx, C)."""
    V, H, W, C = x.shape
    rows, ky, kx, _ = w.shape
    padded = np.full((V, H + 2 * pad, W + 2 * pad, C), outside, dtype=np.int64)
    padded[:, pad : pad + H, pad : pad + W] = x
    OH, OW = (H + 2 * pad - ky) // stride + 1, (W + 2 * pad - kx) // stride + 1
    out = np.zeros((V, OH, OW, rows), dtype=np.int64)
    for y in range(OH):
        for z in range(OW):
            part = padded[:, y * stride : y * stride + ky, z * stride : z * stride + kx]
            out[:, y, z] = np.einsum("vabc,nabc->vn", part, w)
    return out


def layer(H, W, act_bits, weight_bits, words, rows, k, stride, pad, P, **more):
    OH, OW = (H + 2 * pad - k) // stride + 1, (W + 2 * pad - k) // stride + 1
    pixel = act_bits * words
    rgs = -(-rows // P)
    out_words = -(-rgs * P // LANES)
    fields = {
        "act_bits": act_bits,
        "weight_bits": weight_bits,
        "n0": words,
        "kx": k,
        "ky": k,
        "stride": stride,
        "oy": OH,
        "ox": OW,
        "ix0": -pad,
        "iy0": -pad,
        "in_h": H,
        "in_w": W,
        "in_ptr": -pad * pixel * (W + 1),
        "in_ring": 12,
        "out_ring": 12,
        "out_ptr": 1024,
        "st_0": 1,
        "st_plane": words,
        "st_kx": pixel,
        "st_ky": pixel * W,
        "st_ox": pixel * stride,
        "st_oy": pixel * W * stride,
        "st_oplane": out_words,
        "w_base": 0,
        "kw": k * k * words,
        "wrow": k * k * words * weight_bits,
        "rgs": rgs,
        "safe": 0,
    }
    fields.update(more)
    planes = 4 * fields["levels"] if fields.get("raw") else fields["out_bits"]
    fields["st_out"] = planes * out_words
    return encode(LAYER, **fields), (OH, OW), planes


def run(oracle, words):
    outcome = oracle.run(words + encode(END), 1, NOWHERE, Memory(0, np.zeros(1, dtype=np.uint64)))
    assert outcome.code == 0
    return outcome


@pytest.mark.parametrize("P,V", [(4, 2), (16, 4), (32, 4)])
def test_bipolar_dense_sums_follow_from_the_raw_results(P, V):
    rng = np.random.default_rng(P)
    oracle = Oracle(P, V, 4)
    v, u = rng.integers(0, 2, (V, 1, 1, 832)), rng.integers(0, 2, (96, 1, 1, 832))
    planes_into(oracle, v, 0, 1)
    weights_into(oracle, u, 1, 13)
    words, _, planes = layer(1, 1, 1, 1, 13, 96, 1, 1, 0, P, raw=1, levels=4, beta=1, wsh=1)
    outcome = run(oracle, words)
    assert outcome.fed == 96 // P * 13
    D = planes_from(oracle, 1024, (V, 1, 1, 96), planes)
    D = np.where(D >= 2**15, D - 2**16, D)
    expected = convolve(2 * v - 1, 2 * u - 1, 1, 0, 0)
    assert (2 * D - 2 * u.sum(axis=(1, 2, 3)) + 832 == expected).all()


@pytest.mark.parametrize(
    "k,stride,pad,act_bits,weight_bits",
    [(3, 1, 1, 2, 1), (3, 2, 1, 2, 3), (5, 1, 2, 1, 2), (1, 1, 0, 8, 8), (2, 3, 0, 4, 4), (7, 4, 3, 3, 5)],
)
def test_convolutions_are_sums_over_what_the_codes_mean(k, stride, pad, act_bits, weight_bits):
    """Unsigned activations, two's complement weights (bipolar for one bit), zero padding."""
    rng = np.random.default_rng(k * 100 + stride)
    P, V, H, W, C, rows = 16, 4, 7, 6, 100, 32
    oracle = Oracle(P, V, 4)
    v = rng.integers(0, 2**act_bits, (V, H, W, C))
    u = rng.integers(0, 2**weight_bits, (rows, k, k, C))
    H = W = 7 if k == 7 else 5
    v = rng.integers(0, 2**act_bits, (V, H, W, C))
    planes_into(oracle, v, 0, act_bits)
    weights_into(oracle, u, weight_bits, 2)
    meant, wsh, beta = (
        (2 * u - 1, 1, 1) if weight_bits == 1 else (u - 2 ** (weight_bits - 1), 0, 2 ** (weight_bits - 1))
    )
    if rows // P * k * k * 2 * weight_bits > 1536:
        pytest.skip("more weights than the elements hold")
    words, (OH, OW), planes = layer(
        H, W, act_bits, weight_bits, 2, rows, k, stride, pad, P, raw=1, levels=6, beta=beta, wsh=wsh
    )
    run(oracle, words)
    D = planes_from(oracle, 1024, (V, OH, OW, rows), planes)
    D = np.where(D >= 2**23, D - 2**24, D)
    assert (D == convolve(v, meant, stride, pad, 0)).all()


@pytest.mark.parametrize("levels", [1, 3, 7, 15, 5])
def test_codes_count_the_thresholds_of_either_direction(levels):
    rng = np.random.default_rng(levels)
    P, V, C, rows = 8, 2, 64, 64
    oracle = Oracle(P, V, 4)
    v, u = rng.integers(0, 4, (V, 1, 1, C)), rng.integers(0, 2, (rows, 1, 1, C))
    planes_into(oracle, v, 0, 2)
    weights_into(oracle, u, 1, 1)
    steps = np.sort(rng.integers(-60, 61, (rows, levels)), axis=1)
    down = rng.integers(0, 2, rows)
    each = -(-levels // 3)
    for n in range(rows):
        g, p = divmod(n, P)
        for w in range(each):
            word = sum((int(steps[n, i]) & 0x1FFFFF) << 21 * (i - 3 * w) for i in range(3 * w, min(levels, 3 * w + 3)))
            oracle.thresholds[p // 4, (g * 4 + p % 4) * each + w] = word | int(down[n]) << 63
    words, _, planes = layer(1, 1, 2, 1, 1, rows, 1, 1, 0, P, levels=levels, out_bits=4, beta=1, wsh=1)
    run(oracle, words)
    sums = convolve(v, 2 * u - 1, 1, 0, 0)[:, 0, 0]
    meets = sums[:, :, None] >= steps
    expected = np.where(down[:, None] == 1, ~meets, meets).sum(axis=2)
    assert len(np.unique(expected)) > 1
    assert (planes_from(oracle, 1024, (V, 1, 1, rows), planes)[:, 0, 0] == expected).all()


@pytest.mark.parametrize("k,stride,pad", [(2, 2, 0), (3, 2, 1), (3, 1, 1)])
def test_pools_are_maxima_over_windows(k, stride, pad):
    rng = np.random.default_rng(k)
    V, H, W, C = 2, 6, 5, 128
    oracle = Oracle(4, V, 4)
    codes = rng.integers(0, 8, (V, H, W, C))
    planes_into(oracle, codes, 0, 3)
    OH, OW = (H + 2 * pad - k) // stride + 1, (W + 2 * pad - k) // stride + 1
    words = encode(
        POOL,
        out_bits=3,
        n0=3,
        kx=k,
        ky=k,
        stride=stride,
        oy=OH,
        ox=OW,
        ix0=-pad,
        iy0=-pad,
        in_h=H,
        in_w=W,
        in_ptr=4 - pad * 6 * (W + 1),
        in_ring=12,
        out_ring=12,
        out_ptr=1024,
        st_0=-2,
        st_kx=6,
        st_ky=6 * W,
        st_ox=6 * stride,
        st_oy=6 * W * stride,
        groups=2,
        st_group=1,
        st_out=6,
        st_oplane=2,
        safe=0,
    )
    run(oracle, words)
    padded = np.zeros((V, H + 2 * pad, W + 2 * pad, C), dtype=np.int64)
    padded[:, pad : pad + H, pad : pad + W] = codes
    expected = np.array(
        [
            [padded[:, y * stride : y * stride + k, x * stride : x * stride + k].max(axis=(1, 2)) for x in range(OW)]
            for y in range(OH)
        ]
    ).transpose(2, 0, 1, 3)
    assert (planes_from(oracle, 1024, (V, OH, OW, C), 3) == expected).all()


@pytest.mark.parametrize("op", sorted(LENGTH))
def test_no_two_fields_share_a_bit(op):
    taken = [(word, bit) for word, low, bits, _ in FIELDS[op].values() for bit in range(low, low + bits)]
    taken += [(word, bit) for word, low, bits in RESERVED[op] for bit in range(low, low + bits)]
    assert len(taken) == len(set(taken))
    assert all(0 <= word < LENGTH[op] and bit < 64 for word, bit in taken)
    if op in (LAYER, POOL):
        assert len(taken) == 64 * LENGTH[op] - 1 + 1


@pytest.mark.parametrize("seed", range(12))
def test_programs_of_the_generator_are_right_and_the_same_every_time(seed):
    config = CONFIGURATIONS[seed % 3]
    case, again = make_case(seed, config), make_case(seed, config)
    assert [run.program for run in case.runs] == [run.program for run in again.runs]
    assert (case.memory == again.memory).all()
    assert words_of(case.program) == case.runs[1].program
    oracle, memory = Oracle(*config), Memory(0, case.memory.copy())
    outcomes = [oracle.run(run.program, run.groups, run.regions, memory) for run in case.runs]
    assert [outcome.code for outcome in outcomes] == [0, 0, 0]
    assert outcomes[1].pictures == case.runs[1].groups * config.V
    assert outcomes[1].fed > 0


def test_fields_survive_encoding():
    case = make_case(5, CONFIGURATIONS[0])
    words, at = case.runs[1].program, 0
    while at < len(words):
        op = words[at] & 15
        fields = dict(decode(words[at : at + LENGTH[op]]))
        assert encode(**{"op": op, **fields}) == words[at : at + LENGTH[op]]
        at += LENGTH[op]


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_be_wrong_has_an_error(way):
    codes = {make_hostile(seed, CONFIGURATIONS[0], way)[1] for seed in range(8)}
    assert codes - {0}
    if way in (
        "unknown_op",
        "reserved_bit",
        "reserved_bit_of_block",
        "no_end",
        "past_the_end",
        "no_groups",
        "pool_planes",
    ):
        assert codes == {BAD_PROGRAM}
