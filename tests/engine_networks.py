"""Engines and random networks for tests of compiler and driver, and what plain numpy makes of the layers."""

from __future__ import annotations

import dataclasses

import numpy as np
import oracle
import oracle_conv
import small_conv

from qnn_pynq.catalogue import find_overlay
from qnn_pynq.networks import Conv, Decode, Dense, Encoding, InputSpec, Linear, Network, Pool


def overlay(**changes):
    """The shipped engine; `changes` of its geometry make it another one's."""
    found = find_overlay("engine-z7020")
    return dataclasses.replace(found, geometry=dict(found.geometry, **changes))


def small_engine(**changes):
    """Eight elements, two vectors, small banks: small maps go through it in strips."""
    return overlay(**{"pe": 8, "vectors": 2, "bank_words": 512, **changes})


def network(layers, size=(9, 9), channels=64, bits=2, pixels=False, classes=()):
    """Codes or pixels in; features out, or the classes of scores."""
    coding = Encoding("pixels") if pixels else Encoding("codes", bits=bits)
    spec = InputSpec(size, channels, "as-is", None, coding)
    decode = Decode("largest-sum", 1, 0.05) if classes else Decode("features")
    return Network("net", "net", "", ("engine-z7020",), spec, tuple(layers), decode, tuple(classes), {})


def dense_layer(rng, inputs, outputs, coding="binary", accumulator="popcount", output="binary"):
    """Weights at random, thresholds where about half of the sums lie."""
    weights = small_conv.bits(rng, (outputs,), inputs)
    middle, spread = (inputs // 2, 1) if accumulator == "popcount" else (0, 2)
    count = {"binary": 1, "ternary": 2, "none": 0}[output]
    found = None
    if count:
        wide = max(1, int(spread * np.sqrt(inputs)))
        found = (middle + rng.integers(-wide, wide + 1, (outputs, count))).astype(np.int32)
    return Dense(inputs, outputs, weights, found, 1, coding, accumulator, output)


def dense_network(seed=0, sizes=(70, 40, 33, 20), ternary=False, sums=False, size=None):
    """Bits of pictures in; words or sums out."""
    rng = np.random.default_rng(seed)
    layers = []
    coding = "binary"
    for number, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        last = number == len(sizes) - 2
        output = ("none" if sums else "binary") if last else "ternary" if ternary else "binary"
        rule = "sum" if ternary or sums and last else "popcount"
        layers.append(dense_layer(rng, inputs, outputs, coding, rule, output))
        coding = output
    spec = InputSpec(size or (1, sizes[0]), 1, "as-is", None, Encoding("threshold", threshold=128))
    classes = tuple(f"c{number}" for number in range(sizes[-1] if sums else 10))
    decode = Decode("largest-sum") if sums else Decode(levels=1)
    return Network("dense", "dense", "", ("engine-z7020",), spec, tuple(layers), decode, classes, {})


def pixel_layer(rng, outputs, kernel=5, stride=2, padding=(2, 2), weight_bits=4, code_bits=2):
    """A first layer whose weights are few bits of two's complement, in the array that has room for 16."""
    most = 1 << weight_bits - 1
    weights = rng.integers(-most, most, (outputs, kernel, kernel, 3)).astype(np.int16)
    weights.reshape(-1)[:2] = -most, most - 1
    spread = int(255 * most * np.sqrt(3 * kernel**2) / 2)
    found = rng.integers(-spread, spread + 1, (outputs, 2**code_bits - 1)).astype(np.int32)
    return Conv(3, outputs, kernel, stride, padding, weights, found, 16, 8, code_bits)


def whole_network(seed=0):
    """All on the engine: pixels, maps in groups, pools, a tail."""
    rng = np.random.default_rng(seed)
    conv = small_conv.binary_conv
    layers = (pixel_layer(rng, 24), Pool(2, 2, (0, 1)), conv(rng, 24, 36, groups=2, invert=True), Pool(3, 2, (0, 1)),
              conv(rng, 36, 40), small_conv.linear(rng, 2 * 2 * 40, 5))
    return network(layers, (14, 14), 3, pixels=True, classes="abcde")


def with_steps(layer, bits):
    """The layer with the thresholds that codes of so many bits have."""
    rng = np.random.default_rng(bits)
    found = rng.integers(-40, 41, (layer.outputs, 2**bits - 1)).astype(np.int32)
    return dataclasses.replace(layer, thresholds=found, output_bits=bits)


def expected(net, layers, values):
    """What layers give for what arrives at the first of them: words, codes, sums or scores; plain numpy."""
    if isinstance(layers[0], Dense):
        bits = np.unpackbits(values, axis=1, bitorder="little")[:, : layers[0].inputs]
        if layers[-1].output == "none":
            return oracle.lfc_sums(layers, bits)
        return oracle.lfc_words(layers, bits)
    maps = [layer for layer in layers if not isinstance(layer, Linear)]
    values = oracle_conv.forward(maps, values)
    for layer in layers[len(maps) :]:
        flat = values.reshape(len(values), -1).astype(np.int64)
        weights = oracle_conv.signs(layer.weights, layer.inputs) if layer.weight_bits == 1 else layer.weights
        total = flat @ weights.astype(np.int64).T
        if layer.thresholds is not None:
            values = (total[..., None] >= layer.thresholds).sum(axis=-1).astype(np.uint8)
            continue
        values = total.astype(np.float64) * layer.scale
        if layer.bias is not None:
            values = values + layer.bias
    return values


def inputs_of(net, layers, first, pictures, seed=0):
    """Random values that arrive at a layer."""
    rng = np.random.default_rng(seed)
    signal = net.signals[first]
    if signal.coding == "binary":
        return np.packbits(rng.integers(0, 2, (pictures, layers[0].inputs)).astype(np.uint8), axis=1, bitorder="little")
    return rng.integers(0, 2**signal.bits, (pictures, *signal.shape)).astype(np.uint8)
