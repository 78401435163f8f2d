"""Words of inputs and results against plain numpy: pictures of a group in turn, planes, lanes, groups that are open."""

from __future__ import annotations

import engine_networks as nets
import numpy as np
import pytest
import small_conv
from hypothesis import given
from hypothesis import strategies as st

from qnn_pynq.families.engine import packing
from qnn_pynq.families.engine.compiler import split_network
from qnn_pynq.families.engine.mapping import planes_of
from qnn_pynq.networks import Pool


def compiled(net, **changes):
    return split_network(net, nets.small_engine(**changes))[1]


def words_of(program, pictures, vectors=2, fill=0xAA):
    groups = -(-pictures // vectors)
    return np.full((groups, program.maps[0] // (8 * vectors), vectors), fill, np.uint64)


@given(st.integers(1, 8), st.integers(1, 130), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_planes_have_bit_after_bit_of_every_lane(bits, lanes, rows, seed):
    codes = np.random.default_rng(seed).integers(0, 2**bits, (rows, lanes)).astype(np.uint8)
    found = planes_of(codes, bits)
    assert found.shape == (rows, bits, -(-lanes // 64))
    for row in range(rows):
        for plane in range(bits):
            for word in range(found.shape[2]):
                part = codes[row, 64 * word : 64 * word + 64]
                wanted = sum((int(code) >> plane & 1) << lane for lane, code in enumerate(part))
                assert int(found[row, plane, word]) == wanted


@pytest.mark.parametrize("pictures", [1, 2, 3, 7])
def test_bits_of_pictures_lie_in_turn_and_those_beyond_are_cut(pictures):
    program = compiled(nets.dense_network(0, (70, 40, 20)))
    values = np.random.default_rng(0).integers(0, 256, (pictures, 16)).astype(np.uint8)
    out = words_of(program, pictures)
    packing.pack_bits(program, values, out)
    for picture in range(2 * len(out)):
        for word in range(2):
            found = int(out[picture // 2, word, picture % 2])
            row = int.from_bytes(values[picture].tobytes(), "little") & (1 << 70) - 1 if picture < pictures else 0
            assert found == row >> 64 * word & (1 << 64) - 1


@pytest.mark.parametrize("groups", [1, 2])
def test_maps_have_pixel_plane_and_word(groups):
    rng = np.random.default_rng(groups)
    net = nets.network([small_conv.binary_conv(rng, 72, 8, groups=groups)], (3, 2), 72)
    program = compiled(net)
    values = rng.integers(0, 4, (3, 3, 2, 72)).astype(np.uint8)
    out = words_of(program, 3)
    packing.pack_maps(program, values, out)
    each = 72 // groups
    count = 2  # words of a pixel, whatever the groups
    for picture in range(3):
        for place in range(6):
            pixel = values[picture].reshape(6, 72)[place]
            for plane in range(2):
                for word in range(count):
                    first = word * 64 if groups == 1 else word * each
                    part = pixel[first : min(first + 64, 72)] if groups == 1 else pixel[first : first + each]
                    wanted = sum((int(code) >> plane & 1) << lane for lane, code in enumerate(part))
                    at = (place * 2 + plane) * count + word
                    assert int(out[picture // 2, at, picture % 2]) == wanted
    assert not out[1, :12, 1].any()  # the picture that is missing


@pytest.mark.parametrize("kernel, stride, padding", [(3, 1, (1, 1)), (5, 2, (2, 2)), (4, 3, (0, 1))])
def test_windows_are_what_each_place_sees(kernel, stride, padding):
    rng = np.random.default_rng(kernel)
    layer = nets.pixel_layer(rng, 4, kernel, stride, padding)
    pixels = rng.integers(0, 256, (2, 9, 7, 3)).astype(np.uint8)
    found = packing.windows_of(layer, pixels)
    for y in range(found.shape[1]):
        for x in range(found.shape[2]):
            wanted = []
            for ky in range(kernel):
                for kx in range(kernel):
                    at = y * stride + ky - padding[0], x * stride + kx - padding[0]
                    inside = 0 <= at[0] < 9 and 0 <= at[1] < 7
                    wanted += pixels[1, at[0], at[1]].tolist() if inside else [0, 0, 0]
            assert found[1, y, x].tolist() == wanted


def test_sums_have_a_sign():
    program = compiled(nets.dense_network(1, (70, 40, 20), sums=True))
    step, leaves = program.steps[-1], program.leaves
    rng = np.random.default_rng(0)
    half = 1 << step.planes - 1
    sums = rng.integers(-half, half, (3, 20))
    sums[0, :2] = -half, half - 1
    words = np.zeros((3, step.planes), np.uint64)
    for picture in range(3):
        for lane, channel in enumerate(leaves.channels.tolist()):
            for plane in range(step.planes):
                # What is in the other lanes is no matter.
                bit = int(sums[picture, channel]) >> plane & 1 if channel >= 0 else 1
                words[picture, plane] |= np.uint64(bit << lane)
    wanted = step.sums.scale * sums + step.sums.offset
    assert np.array_equal(packing.unpack_sums(program, words), wanted)


def test_codes_come_back_from_the_lanes_that_groups_left_open():
    rng = np.random.default_rng(4)
    layers = [small_conv.binary_conv(rng, 64, 36, groups=2), Pool(2, 1)]
    program = compiled(nets.network(layers, (3, 4)))
    leaves = program.leaves
    assert (leaves.channels[:36] != np.arange(36)).any()  # 18 of three row groups each
    codes = rng.integers(0, 4, (2, 2, 3, 36)).astype(np.uint8)
    lanes = np.zeros((2, 2, 3, leaves.words * 64), np.uint8)
    lanes[..., leaves.channels >= 0] = codes[..., leaves.channels[leaves.channels >= 0]]
    assert np.array_equal(packing.unpack_codes(program, planes_of(lanes, 2).reshape(2, -1)), codes)
