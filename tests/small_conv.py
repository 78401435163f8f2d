"""Small convolutional networks with random weights, for tests."""

from __future__ import annotations

import dataclasses

import numpy as np

from qnn_pynq.networks import Conv, Crop, Decode, Encoding, InputSpec, Letterbox, Linear, Network, Pool, Segment


def bits(rng, shape, count):
    """Random bit strings uint8 (*shape, ceil(count / 8)) with pad bits 0."""
    packed = rng.integers(0, 256, shape + ((count + 7) // 8,)).astype(np.uint8)
    if count % 8:
        packed[..., -1] &= (1 << count % 8) - 1
    return packed


def thresholds(rng, outputs, bits, spread):
    """Random thresholds around 0, unsorted."""
    return rng.integers(-spread, spread + 1, (outputs, 2**bits - 1)).astype(np.int16)


def binary_conv(rng, inputs, outputs, kernel=3, padding=(1, 1), code_bits=2, groups=1, invert=False):
    """A convolution with 1-bit weights."""
    part = inputs // groups
    spread = max(2, int((2**code_bits - 1) * np.sqrt(part * kernel**2)))
    flags = rng.integers(0, 2, outputs).astype(bool) if invert else None
    return Conv(
        inputs, outputs, kernel, 1, padding, bits(rng, (outputs, kernel, kernel), part),
        thresholds(rng, outputs, code_bits, spread), 1, code_bits, code_bits, groups, flags,
    )


def pixel_conv(rng, outputs, kernel=3, stride=2, padding=(1, 1), code_bits=2, channels=3):
    """A first layer: 8-bit pixels, 16-bit weights."""
    weights = rng.integers(-300, 301, (outputs, kernel, kernel, channels)).astype(np.int16)
    spread = int(255 * 150 * np.sqrt(channels * kernel**2) / 2)
    found = np.sort(rng.integers(-spread, spread + 1, (outputs, 2**code_bits - 1)).astype(np.int32), axis=1)
    return Conv(channels, outputs, kernel, stride, padding, weights, found, 16, 8, code_bits)


def linear(rng, inputs, outputs, code_bits=2):
    """A last layer with 8-bit weights."""
    weights = rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    bias = rng.normal(size=outputs).astype(np.float32)
    return Linear(inputs, outputs, weights, bias, 0.01, 8, code_bits)


def small_network(seed=0, code_bits=2, overlay="qnn-mo-w1a2", pool=3, crop=True):
    """16 x 16 RGB, one convolution of each kind, a pool, five classes."""
    rng = np.random.default_rng(seed)
    layers = (
        pixel_conv(rng, 64, code_bits=code_bits),
        binary_conv(rng, 64, 128, code_bits=code_bits, groups=2),
        Pool(pool, 2, (0, pool - 2)),
        binary_conv(rng, 128, 40, code_bits=code_bits),
        linear(rng, 4 * 4 * 40, 5, code_bits),
    )
    spec = InputSpec((16, 16), 3, "as-is", None, Encoding("pixels"), Crop(18) if crop else None)
    return Network(
        "small", "small", "", (overlay,), spec, layers, Decode("largest-sum", 1, 0.05), tuple("abcde"), {}
    )


def mixed_network(seed=0):
    """2-bit layers with a 3 x 3 pool, then a 3-bit one with a 2 x 2 pool, then a 3-bit one."""
    rng = np.random.default_rng(seed)
    widening = dataclasses.replace(binary_conv(rng, 128, 64, code_bits=3), input_bits=2)
    layers = (
        pixel_conv(rng, 64),
        binary_conv(rng, 64, 128, groups=2), Pool(3, 1, (1, 1)),
        widening, Pool(2, 2),
        binary_conv(rng, 64, 32, code_bits=3),
        linear(rng, 4 * 4 * 32, 5, 3),
    )
    return dataclasses.replace(small_network(seed), layers=layers, segments=(Segment(3, "qnn-mo-w1a3"),))


def takes_codes(bits=2, channels=70, size=9):
    """Two convolutions and a pool on maps of codes."""
    rng = np.random.default_rng(bits)
    window = 5 - bits
    layers = (
        binary_conv(rng, channels, 40, code_bits=bits, invert=True), Pool(window, 2, (0, window - 2)),
        binary_conv(rng, 40, 33, kernel=1, padding=(0, 0), code_bits=bits),
    )
    spec = InputSpec((size, size), channels, "as-is", None, Encoding("codes", bits=bits))
    overlay = f"qnn-mo-w1a{bits}"
    return dataclasses.replace(
        small_network(code_bits=bits, pool=window, overlay=overlay), name="codes", input=spec, layers=layers,
        decode=Decode("features"), classes=(), overlays=(overlay,),
    )


def in_letterbox():
    """A float first layer in a letterbox, and a pointwise layer at the end."""
    network = small_network()
    rng = np.random.default_rng(4)
    first = network.layers[0]
    first = dataclasses.replace(
        first, weights=first.weights.astype(np.float32), thresholds=first.thresholds.astype(np.float32) / 255,
        weight_bits=32, input_bits=32,
    )
    last = Linear(
        40, 7, rng.normal(size=(7, 40)).astype(np.float32), rng.normal(size=7).astype(np.float32), 0.5, 32, 2,
        pointwise=True,
    )
    mean = Encoding("mean", mean=np.zeros((16, 16, 3), np.float32), divisor=255.0)
    spec = InputSpec((16, 16), 3, "as-is", None, mean, None, Letterbox(100.0))
    return dataclasses.replace(
        network, input=spec, layers=(first, *network.layers[1:4], last), decode=Decode("features"), classes=()
    )
