"""Kernels on layers of the size of DoReFa-Net's: median processor time of one picture on one thread.

python benchmarks/dorefa.py [instruction set ...]
"""

from __future__ import annotations

import sys

import numpy as np

from qnn_pynq import kernels
from qnn_pynq.kernels._isa import lib
from qnn_pynq.network_types import Conv, Linear, Pool

ROUNDS = 60
# inputs and outputs of a group, kernel, padding, groups, side, pool
LAYERS = {
    "conv1": (34, 90, 5, 2, 2, 54, Pool(3, 2, (0, 1))),
    "conv2": (180, 272, 3, 1, 1, 27, Pool(3, 2, (0, 1))),
    "conv3": (136, 192, 3, 1, 2, 14, None),
    "conv4": (192, 128, 3, 1, 2, 14, Pool(3, 2)),
}


def median_seconds(run):
    """Median of the processor time of `run`."""
    run()
    times = []
    for _ in range(ROUNDS):
        begun = lib.qnn_thread_seconds()
        run()
        times.append(lib.qnn_thread_seconds() - begun)
    return float(np.median(times))


def convolutions(rng):
    """Prints the time of each 1-bit convolution, and of all."""
    total = 0.0
    for name, (inputs, outputs, kernel, around, groups, side, pool) in LAYERS.items():
        weights = rng.integers(0, 2, (outputs * groups, kernel, kernel, inputs)).astype(np.uint8)
        thresholds = rng.integers(-100, 100, (outputs * groups, 3))
        bits = np.packbits(weights, axis=-1, bitorder="little")
        layer = Conv(
            inputs * groups, outputs * groups, kernel, 1, (around, around), bits, thresholds, groups=groups
        )
        convolution = kernels.ConvLayer(layer, side, side, pool)
        maps = rng.integers(0, 4, (1, side, side, inputs * groups)).astype(np.uint8)
        out = convolution.run(maps)
        seconds = median_seconds(lambda c=convolution, m=maps, o=out: c.run(m, o))
        total += seconds
        rate = layer.macs(side, side) / seconds / 1e9
        print("{:8} {:9.1f} us {:8.1f} GMAC/s  {}".format(name, seconds * 1e6, rate, convolution.method))
    print("{:8} {:9.1f} us".format("stack", total * 1e6))


def first(rng):
    """Prints the time of the first convolution, on pixels."""
    for bits, dtype in ((16, np.int16), (32, np.float32)):
        weights = rng.integers(-2000, 2000, (68, 12, 12, 3)).astype(dtype)
        thresholds = rng.integers(-1000, 1000, (68, 3)).astype(np.int32 if bits == 16 else np.float32)
        layer = Conv(3, 68, 12, 4, (0, 0), weights, thresholds, bits, 8 if bits == 16 else 32)
        convolution = kernels.ConvLayer(layer, 224, 224)
        maps = rng.integers(0, 256, (1, 224, 224, 3)).astype(np.uint8 if bits == 16 else np.float32)
        out = convolution.run(maps)
        seconds = median_seconds(lambda c=convolution, m=maps, o=out: c.run(m, o))
        print("conv0/{:2} {:9.1f} us  {}".format(bits, seconds * 1e6, convolution.method))


def tail(rng):
    """Prints the time of dense layers with 1-bit weights."""
    for inputs, outputs in ((9216, 4096), (4096, 4096), (4096, 1000)):
        weights = rng.integers(0, 256, (outputs, inputs // 8)).astype(np.uint8)
        dense = kernels.LinearLayer(Linear(inputs, outputs, weights, weight_bits=1))
        codes = rng.integers(0, 4, (1, inputs)).astype(np.uint8)
        out = dense.run(codes)
        seconds = median_seconds(lambda d=dense, x=codes, o=out: d.run(x, o))
        print("{} x {} {:9.1f} us".format(inputs, outputs, seconds * 1e6))


def main(names):
    """Runs everything for each instruction set."""
    for name in names or [kernels.isa_active()]:
        print(kernels.set_isa(name))
        rng = np.random.default_rng(1)
        convolutions(rng)
        first(rng)
        tail(rng)


if __name__ == "__main__":
    main(sys.argv[1:])
