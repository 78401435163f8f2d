"""The emulated board end to end, from 10,000 pictures to labels, against the bare kernel and packing.

    python benchmarks/emulated.py

One thread, CPU time, interleaved rounds. The target: at most twice (bare kernel + bare packing). Also the time
to load a network, which plays about 370,000 register accesses.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from common import interleaved, machine, one_cpu, random_network, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--images", type=int, default=10000)
    arguments = parser.parse_args()
    one_cpu()

    from qnn_pynq import Classifier
    from qnn_pynq.kernels import DenseStack, Encoder, isa_active

    n = arguments.images
    pictures = np.random.default_rng(6).integers(0, 256, size=(n, 784)).astype(np.uint8)
    bits, words = np.empty((n, 104), np.uint8), np.empty((n, 8), np.uint8)
    encoder = Encoder(784, 832, threshold=128)
    tasks, loads, modelled, keep = {}, {}, {}, []
    for name, ternary in (("W1A1", False), ("W1A2", True)):
        network = random_network(ternary)
        stack = DenseStack(network.layers)
        begin = time.thread_time()
        classifier = Classifier(network, board="emulated")
        loads[name] = [time.thread_time() - begin]
        for seed in range(2, 7):
            other = random_network(ternary, seed)
            begin = time.thread_time()
            classifier.load(other)
            loads[name].append(time.thread_time() - begin)
        classifier.load(network)
        modelled[name] = classifier.engine.driver.timing["configure"]
        in_software = Classifier(network, board="cpu")
        keep += [stack, classifier, in_software]
        if not np.array_equal(classifier.predict(pictures), in_software.predict(pictures)):
            raise SystemExit(f"{name}: board and software disagree")
        tasks[name, "kernel"] = (lambda s=stack: s.run(bits, words), n)
        tasks[name, "emulated board"] = (lambda c=classifier: c.predict(pictures), n)
        tasks[name, "software engine"] = (lambda c=in_software: c.predict(pictures), n)
    tasks["", "packing"] = (lambda: encoder.encode(pictures, bits), n)
    times = interleaved(tasks, arguments.rounds, 0.02)
    print(machine(), isa_active())
    print(
        f"\nus per image of {n} images, median of {arguments.rounds} rounds, one thread, CPU time"
    )
    rows = []
    packing = times["", "packing"]
    for name in loads:
        kernel, board = times[name, "kernel"], times[name, "emulated board"]
        software = times[name, "software engine"]
        numbers = (kernel, packing, board, board / (kernel + packing), software)
        rows.append([name, *(f"{value:.3f}" for value in numbers)])
    print(table(["", "kernel", "packing", "emulated board", "ratio (target <= 2)", "software engine"], rows))
    for name, seconds in loads.items():
        later = statistics.median(seconds[1:])
        print(
            f"{name}: first load {seconds[0] * 1e3:.0f} ms with the board, a later one {later * 1e3:.0f} ms; "
            f"{modelled[name] * 1e3:.1f} ms on a Z1 by the model"
        )


if __name__ == "__main__":
    main()
