"""Cycles of the engine for the networks that we ship, by the circuit's own counter.

    python benchmarks/engine.py                          the simulated circuit (needs Verilator), 4 vectors
    python benchmarks/engine.py --vectors 2 4 6 8        2: the shipped bitstream's
    python benchmarks/engine.py --board emulated         the twin's model

A picture of a batch: cycles of a run over many groups, by its pictures. One alone: a run of one picture. Weights: the
run that loads them. Share: cycles in which the array was fed, by all cycles of the batch.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import Any

import numpy as np
from common import ROOT, machine, table

NETWORKS = ("lfc-w1a1-mnist", "lfc-w1a2-mnist", "lfc-w1a1-sums-fashion-mnist", "lfc-w1a2-sums-fashion-mnist",
            "dorefa-w1a2-imagenette", "dorefa-w1a2-ends4-imagenette", "dorefa-w1a2-ends4-cifar10")
PUBLISHED = {"lfc-w1a1-mnist": "841", "lfc-w1a2-mnist": "841", "dorefa-w1a2-imagenette": "78,336 + 18,432",
             "dorefanet": "720,387 + 33,600"}
BLOCKS = {2: 4, 4: 4, 6: 3, 8: 2}  # of 512 words of a bank
CYCLES, BUSY = 0x38, 0x3C


def overlay_of(vectors: int) -> Any:
    """The engine's overlay with another number of vectors."""
    from qnn_pynq.overlay import load_overlay

    overlay = load_overlay(ROOT / "overlays" / "engine-z7020")
    rtl = replace(overlay.rtl, parameters={"P": 32, "V": vectors, "BLOCKS": BLOCKS[vectors]})
    geometry = {**overlay.geometry, "vectors": vectors, "bank_words": 512 * BLOCKS[vectors]}
    return replace(overlay, rtl=rtl, geometry=geometry)


def measure(name: str, overlay: Any, board: str, groups: int) -> list[Any]:
    from qnn_pynq import load_network, open_board
    from qnn_pynq.contracts.families import driver_class
    from qnn_pynq.convert.qnn_mo import import_qnn_mo

    network = import_qnn_mo(name) if name.endswith(".json") else load_network(ROOT / "params" / name)
    vectors = overlay.geometry["vectors"]
    with open_board(board) as opened:
        driver = driver_class(overlay.kind)(opened, overlay)
        try:
            driver.load(network)
            registers = opened.ip(overlay.ip.name)
            weights = registers.read(CYCLES)
            port = driver.input
            highest = 4 if port.kind == "codes" else 256
            inputs = np.random.RandomState(1).randint(0, highest, (groups * vectors, *port.shape)).astype(port.dtype)
            found = []
            for count in (1, len(inputs)):
                driver.put(inputs[:count])
                driver.start(count)
                driver.finish()
                found.append((driver.counters.cycles, driver.counters.busy))
        finally:
            driver.close()
    (alone, _), (batch, fed) = found
    known = PUBLISHED.get(network.name, "")
    return [network.name, str(vectors), known, f"{batch / len(inputs):,.1f}", f"{alone:,}", f"{weights:,}",
            f"{100 * fed / batch:.1f} %"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", default="rtl", choices=("rtl", "emulated"))
    parser.add_argument("--vectors", type=int, nargs="+", default=[4], choices=sorted(BLOCKS))
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), help="or layer files of QNN-MO-PYNQ")
    arguments = parser.parse_args()
    print(machine())
    rows = []
    jobs = [(name, vectors) for name in arguments.networks for vectors in arguments.vectors]
    for number, (name, vectors) in enumerate(jobs):
        print(f"{number + 1} of {len(jobs)}: {name}, {vectors} vectors", file=sys.stderr)
        groups = 210 if name.startswith("lfc") else 3
        rows.append(measure(name, overlay_of(vectors), arguments.board, groups))
    print(table(["network", "V", "published circuit", "picture of a batch", "one alone", "weights", "share"], rows))


if __name__ == "__main__":
    main()
