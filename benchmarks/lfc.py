"""Our Python API beside LiteRT int8, ONNX Runtime int8 and fp32, and numpy, on the LFC's shape.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/lfc.py

One thread, interleaved rounds, medians of thread CPU time, microseconds per image. Peers are timed without
the copy of their input (LiteRT: `invoke` alone); ours takes a uint8 picture and gives a label.
"""

from __future__ import annotations

import argparse
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
from common import interleaved, machine, one_cpu, random_network, table  # noqa: E402
from peers import PEERS  # noqa: E402

BATCHES = (1, 64, 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--burst", type=float, default=0.02, help="seconds of each task in each round")
    parser.add_argument("--without-classifier", action="store_true", help="the kernels alone")
    arguments = parser.parse_args()
    one_cpu()

    from qnn_pynq import kernels
    from qnn_pynq.kernels import DenseStack, Encoder

    tasks, missing, keep = {}, [], []
    pictures = np.random.default_rng(4).integers(0, 256, size=(max(BATCHES), 784)).astype(np.uint8)
    best = kernels.isa_supported()[-1]
    sets = [best] + [name for name in ("avx2",) if name in kernels.isa_supported() and name != best]
    for isa in sets:
        kernels.set_isa(isa)
        for ternary in (False, True):
            network = random_network(ternary)
            title = "{} {}".format("W1A2" if ternary else "W1A1", isa)
            stack = DenseStack(network.layers, Encoder(784, 832, threshold=128))
            keep.append(stack)
            for batch in BATCHES:
                out = np.empty((batch, 8), np.uint8)
                if batch == 1:
                    single, picture = stack.bind(out), pictures[0].copy()
                    tasks["kernels " + title, batch] = (lambda s=single, p=picture: s(p), batch)
                else:
                    part = pictures[:batch]
                    tasks["kernels " + title, batch] = (
                        lambda s=stack, p=part, o=out: s.run_pictures(p, o),
                        batch,
                    )
            if arguments.without_classifier:
                continue
            from qnn_pynq import Classifier

            classifier = Classifier(network, board="cpu")
            keep.append(classifier)
            for batch in BATCHES:
                part = pictures[0].copy() if batch == 1 else pictures[:batch]
                tasks["predict " + title, batch] = (lambda c=classifier, p=part: c.predict(p), batch)
    for name, make in PEERS.items():
        try:
            for batch in BATCHES:
                tasks[name, batch] = (make(batch), batch)
        except ImportError as error:
            missing.append(f"{name}: {error}")
            tasks = {key: task for key, task in tasks.items() if key[0] != name}

    times = interleaved(tasks, arguments.rounds, arguments.burst)
    names = list(dict.fromkeys(name for name, _ in tasks))
    print(machine())
    print(f"\nus per image, median of {arguments.rounds} rounds, one thread, CPU time")
    header = ["", *(f"batch {batch}" for batch in BATCHES)]
    print(
        table(header, [[name, *(f"{times[name, batch]:.2f}" for batch in BATCHES)] for name in names])
    )
    peers = [name for name in names if name in PEERS]
    if peers:
        print("\ntimes as fast as the peer (batch {})".format(", ".join(map(str, BATCHES))))
        rows = []
        for name in names:
            if name in PEERS:
                continue
            rows.append(
                [
                    name,
                    *(
                        " / ".join(
                            f"{times[peer, batch] / times[name, batch]:.1f}" for batch in BATCHES
                        )
                        for peer in peers
                    ),
                ]
            )
        print(table(["", *peers], rows))
    for line in missing:
        print("not measured,", line)


if __name__ == "__main__":
    main()
