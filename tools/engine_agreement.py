"""Test pictures of all shipped networks on the simulated engine, and how many answers differ from those of others.

    python tools/engine_agreement.py         1,000 pictures of each dense network, 200 of each convolutional one
    python tools/engine_agreement.py --dense 40 --convolutional 8
    python tools/engine_agreement.py --netlist FOLDER --dense 2 --convolutional 2

--netlist takes the Verilog in that folder instead: what tools/readback wrote of the overlay's bitstream, and the cells
of tests/engine_bench/cells.

Compared, value by value (Classifier.decision_function): the engine's Verilog; the software engine; where the network
runs on a published overlay, too, that overlay's twin. Needs Verilator, and the test sets ($QNN_PYNQ_DATA).
"""
from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from qnn_pynq import Classifier, open_board  # noqa: E402
from qnn_pynq.catalogue import find_network, find_overlay, networks  # noqa: E402
from qnn_pynq.datasets.testsets import find_test_set  # noqa: E402
from qnn_pynq.overlay import Overlay, Rtl  # noqa: E402


def values(network: Any, pictures: np.ndarray, **where: Any) -> np.ndarray:
    with Classifier(network, **where) as classifier:
        return np.asarray(classifier.decision_function(pictures))


def row(name: str, dense: int, convolutional: int, board: Any, overlay: Overlay) -> list[str]:
    network = find_network(name)
    count = dense if network.layers[0].type == "dense" else convolutional
    test = find_test_set(network).first(count)
    engine = values(network, test.pictures, board=board, overlay=overlay)
    software = values(network, test.pictures, board="cpu")
    others = [other for other in network.overlays if find_overlay(other).kind != overlay.kind]
    published = values(network, test.pictures, board="emulated", overlay=others[0]) if others else None

    def differ(other: np.ndarray | None) -> str:
        return "" if other is None else str(int((engine != other).any(axis=1).sum()))

    right = 100 * float(np.mean(engine.argmax(axis=1) == test.labels))
    return [name, str(len(test.pictures)), differ(published), differ(software), f"{right:.1f} %"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dense", type=int, default=1000)
    parser.add_argument("--convolutional", type=int, default=200)
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--overlay", default="engine-z7020-32x2")
    parser.add_argument("--netlist", type=Path)
    arguments = parser.parse_args()
    overlay = find_overlay(arguments.overlay)
    if arguments.netlist:
        overlay = dataclasses.replace(overlay, rtl=Rtl("engine", arguments.netlist.resolve(), {}), files={})
    names = arguments.networks or sorted(networks())
    print("| network | pictures | differ from the published overlay's twin | from the software engine | right |")
    print("|---|---:|---:|---:|---:|")
    with open_board("rtl") as board:
        for number, name in enumerate(names):
            print(f"{number + 1} of {len(names)}: {name}", file=sys.stderr)
            cells = row(name, arguments.dense, arguments.convolutional, board, overlay)
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
