"""Weight images of the offload overlays, word by word as the specification has them."""

from __future__ import annotations

import numpy as np
import offload
import oracle_conv
import pytest
import small_conv

from qnn_pynq.families.qnn_mo.plan import make_plan
from qnn_pynq.families.qnn_mo.weights import weight_image

FACTS = {"w1a2": (72, 12, 1, 3), "w1a3": (64, 8, 2, 7)}  # words at kernel 1, entries, words an entry, thresholds


def _expected(kind, conv, kernel, first, outputs, inputs):
    """Both memory channels uint64, bit by bit."""
    each, entries, words, count = FACTS[kind]
    block, size = each * kernel**2, conv.kernel
    tiles = -(-inputs // 64)
    image = [[0] * (16 * (block + entries * words)) for _ in range(2)]
    signs = oracle_conv.signs(conv.weights, inputs)
    for channel in range(-(-outputs // 32) * 32):
        row, pe = divmod(channel, 32)
        port, place = divmod(pe, 16)
        values, invert = [-1] * count, 1  # a pad row: code 0 whatever comes
        if channel < outputs:
            values, invert = [32767] * count, 0
            for k, value in enumerate(conv.thresholds[first + channel].tolist()):
                values[k] = value
            if conv.invert is not None:
                invert = int(conv.invert[first + channel])
            for ky in range(size):
                for kx in range(size):
                    for i, sign in enumerate(signs[first + channel, ky, kx].tolist()):
                        word = ((row * size + ky) * size + kx) * tiles + i // 64
                        image[port][place * block + word] |= (sign < 0) << i % 64
        entry = sum((value & 0xFFFF) << 16 * k for k, value in enumerate(values)) | invert << 16 * count
        at = 16 * block + (place * entries + row) * words
        for k in range(words):  # the upper word first
            image[port][at + k] = entry >> 64 * (words - 1 - k) & 0xFFFFFFFFFFFFFFFF
    return np.array(image, np.uint64)


@pytest.mark.parametrize("kind", offload.KINDS)
@pytest.mark.parametrize("inputs, outputs, kernel, groups, invert, bits", [
    (5, 7, 3, 1, False, None), (64, 32, 2, 1, True, None), (68, 180, 3, 2, True, None), (100, 70, 1, 1, False, None),
    (70, 40, 3, 1, False, 1), (384, 64, 3, 1, False, 2)])
@pytest.mark.parametrize("conservative", [False, True])
def test_images_have_every_bit_where_the_circuit_looks(
        kind, inputs, outputs, kernel, groups, invert, bits, conservative):
    rng = np.random.default_rng(inputs + outputs)
    conv = small_conv.binary_conv(rng, inputs, outputs, kernel, (1, 1), bits or offload.BITS[kind], groups, invert)
    circuit = offload.overlay(kind)
    plan = make_plan(offload.network([conv], 6, inputs), circuit, conservative)
    assert len(plan.runs) == groups
    for run in plan.runs:
        assert run.load_kernel == kernel or not conservative
        found = weight_image(run, circuit.geometry)
        assert found.shape == (2, run.weight_words) and found.dtype == np.uint64
        assert np.array_equal(found, _expected(kind, conv, run.load_kernel, run.first, run.outputs, run.inputs))


def test_images_of_all_runs_lie_one_behind_the_other():
    circuit = offload.overlay()
    plan = make_plan(offload.dorefa_net(), circuit)
    at = 0
    for run in plan.runs:
        assert run.weights_at == at
        at += weight_image(run, circuit.geometry).nbytes
    assert at == plan.weight_bytes
