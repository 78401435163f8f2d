"""Nanoseconds per number: casting between floats and the words of a stream, in C, in plain numpy, by np.vectorize."""
from __future__ import annotations

import argparse
import time
from typing import Any, Callable

import numpy as np
from common import machine

from qnn_pynq import StreamOverlay
from qnn_pynq.kernels.fixed import from_fixed, to_fixed
from qnn_pynq.streams import describe


def best(function: Callable[[], Any], numbers: int, times: int) -> float:
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begun)
    return 1e9 * min(seconds) / numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=int, default=1 << 20)
    parser.add_argument("--times", type=int, default=15)
    options = parser.parse_args()
    print(machine())
    count, times = options.numbers, options.times
    x = np.random.default_rng(0).normal(size=count).astype(np.float32)
    words, values = np.empty(count, np.int16), np.empty(count, np.float32)
    few = x[:20_000]
    vectorised = np.vectorize(lambda value: int(round(value * 1024)))

    def plain() -> np.ndarray:
        scaled = np.rint(x.astype(np.float64) * 1024)
        if (scaled < -32768).any() or (scaled > 32767).any():
            raise ValueError("outside")
        return scaled.astype(np.int16)

    rows = [
        ("to ap_fixed<16,6>, nearest, checked (C)", lambda: to_fixed(x, 16, 10, out=words), count),
        ("the same in plain numpy", plain, count),
        ("the same by np.vectorize, unchecked", lambda: vectorised(few), len(few)),
        ("to ap_fixed<16,6>, down (C)", lambda: to_fixed(x, 16, 10, rounding="AP_TRN", out=words), count),
        ("to ap_fixed<16,6>, AP_RND (C, one by one)", lambda: to_fixed(x, 16, 10, rounding="AP_RND", out=words), count),
        ("from ap_fixed<16,6> (C)", lambda: from_fixed(words, 16, 10, dtype=np.float32, out=values), count),
    ]
    for name, function, numbers in rows:
        print(f"{name:45}{best(function, numbers, times):9.2f} ns")
    ends = {"type": "ap_fixed<16,6>", "shape": [4]}
    loop = describe("loopback", [dict(ends, name="x")], [dict(ends, name="y")])
    with StreamOverlay(loop, board="emulated", twin=lambda sample: sample) as circuit:
        one = x[:4]
        nanoseconds = best(lambda: circuit(one), 1, 200)
        print("{:45}{:9.2f} us".format("one call of one sample, emulated board", nanoseconds / 1e3))


if __name__ == "__main__":
    main()
