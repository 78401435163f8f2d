"""An LFC network over PYNQ.remote: calls and seconds, against the tests' stand-in server on loopback.

    FOLDER/bin/python benchmarks/remote.py [--network lfc-w1a2-mnist]

FOLDER: an environment by tools/pynq_env.sh with pynq 3.1.2 or 4.0.0; `qnn-pynq overlays fetch` must have fetched the
overlay. Takes some minutes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from typing import Any, Callable

import numpy as np
from common import ROOT, machine, table

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "boards")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="lfc-w1a1-mnist")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)

    import pynq
    from emulated_device import VERSION, EmulatedZynq, active
    from pynq.pl_server.remote_device import RemoteDevice
    from remote_server import RemoteServer

    from qnn_pynq import Classifier
    from qnn_pynq.boards import open_board
    from qnn_pynq.catalogue import find_network, find_overlay

    class Filling(RemoteDevice):
        """pynq 4 as it is cannot set the clocks of a Zynq-7000."""

        def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
            parser = super().get_bitfile_metadata(bitfile_name, partial)
            for number, clock in enumerate(parser.clock_dict.values() if VERSION >= (4, 0) else ()):
                clock["frequency"] = EmulatedZynq._frequency(bitfile_name, number)
            return parser

    network = find_network(arguments.network)
    circuit = find_overlay(network.overlays[-1])  # a published one
    pictures = np.random.default_rng(1).integers(0, 256, (1000, network.input.pixels)).astype(np.uint8)
    server = RemoteServer(EmulatedZynq(circuit))
    device = Filling(0, "127.0.0.1", server.port)
    rows = []

    def row(what: str, call: Callable[[], Any], repeats: int) -> Any:
        times, before = [], server.mmio.calls
        for _ in range(repeats):
            begin = time.perf_counter()
            found = call()
            times.append(time.perf_counter() - begin)
        calls = (server.mmio.calls - before) // repeats
        rows.append([what, f"{calls:,}", f"{statistics.median(times):.4g} s"])
        return found

    with active(device), open_board("zynq", device=device) as board:
        classifier = row("weights", lambda: Classifier(network, board, circuit, policy="none"), 1)
        with Classifier(network, "cpu") as software:
            for count in (1, 1000):
                rest = pictures[:count]
                found = row(f"{count} pictures", lambda rest=rest: classifier.predict(rest), arguments.repeats)
                if not np.array_equal(found, software.predict(rest)):
                    raise SystemExit("board and software disagree")
        classifier.close()
    device.client.channel.close()
    server.stop()
    print(f"{machine()}; pynq {pynq.__version__}")
    print(table([network.name, "register accesses", "time"], rows))


if __name__ == "__main__":
    main()
