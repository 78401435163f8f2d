"""The kernels alone, by instruction set: LFC images, encoders, packing; one thread, CPU time.

python benchmarks/kernels.py
"""

from __future__ import annotations

import argparse

import numpy as np
from common import interleaved, machine, one_cpu, random_network, table

BATCHES = (1, 4, 64, 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--burst", type=float, default=0.01, help="seconds of each task in each round")
    arguments = parser.parse_args()
    one_cpu()

    from qnn_pynq import kernels
    from qnn_pynq.kernels import DenseStack, Encoder, pack, unpack

    rng = np.random.default_rng(5)
    pictures = rng.integers(0, 256, size=(max(BATCHES), 784)).astype(np.uint8)
    bits = np.zeros((len(pictures), 104), np.uint8)
    index, thresholds = rng.permutation(784).astype(np.uint16), rng.integers(0, 256, 784).astype(np.uint8)
    tasks, keep = {}, []
    for isa in kernels.isa_supported():
        kernels.set_isa(isa)
        uniform = Encoder(784, 832, threshold=128)
        mixed = Encoder(784, 832, index=index, thresholds=thresholds)
        for name, network in (("W1A1", random_network(False)), ("W1A2", random_network(True))):
            stack = DenseStack(network.layers, uniform)
            keep.append(stack)
            for n in BATCHES:
                x, out = bits[:n], np.empty((n, 8), np.uint8)
                tasks[f"LFC {name}, encoded bits", n, isa] = (
                    lambda s=stack, x=x, o=out: s.run(x, o),
                    n,
                )
        for name, encoder in (("threshold -> 832 bits", uniform), ("table -> 832 bits", mixed)):
            for n in BATCHES:
                tasks["encode, " + name, n, isa] = (
                    lambda e=encoder, p=pictures[:n], o=bits[:n]: e.encode(p, o),
                    n,
                )
        for width in (1, 2, 8):
            words = pack(pictures, width)
            for n in BATCHES:
                tasks[f"pack 784 x {width} bits", n, isa] = (
                    lambda p=pictures[:n], w=width, o=words[:n]: pack(p, w, o),
                    n,
                )
                out = np.empty((n, 784), np.uint8)
                tasks[f"unpack 784 x {width} bits", n, isa] = (
                    lambda p=words[:n], w=width, o=out: unpack(p, w, 784, o),
                    n,
                )
    # pack and unpack look at the active set when they are called
    times = {}
    for isa in kernels.isa_supported():
        kernels.set_isa(isa)
        part = {key: task for key, task in tasks.items() if key[2] == isa}
        times.update(interleaved(part, arguments.rounds, arguments.burst))
    print(machine())
    print(f"\nus per image, median of {arguments.rounds} rounds, one thread, CPU time")
    rows = []
    for name, isa in dict.fromkeys((name, isa) for name, _, isa in tasks):
        rows.append([name + ", " + isa, *(f"{times[name, n, isa]:.3f}" for n in BATCHES)])
    print(table(["", *(f"batch {n}" for n in BATCHES)], sorted(rows)))


if __name__ == "__main__":
    main()
