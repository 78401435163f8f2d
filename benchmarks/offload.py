"""DoReFa-Net's offloaded layers: loads, runs, register accesses and bytes, and the bound that the model gives.

    python benchmarks/offload.py

Counts of the driver on the emulated board, both ways: as it does by default, and `conservative`, which is the
published sequence. The milliseconds are lower bounds: one word and one tile a cycle at 100 MHz, a memory
without delays. For comparison: upstream's notebooks recorded 82.1 and 77.1 ms on a PYNQ-Z1 for the same runs,
the work of the host between them included. Nothing here was timed on a board.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, machine, table

SIZE = 54  # of the map that the first layer, in software, gives


def dorefa_net(seed: int = 1) -> Any:
    """The offloaded layers of the published network with random weights, behind a first layer in software."""
    from qnn_pynq.networks import Conv, Decode, Encoding, InputSpec, Network, Pool

    rng = np.random.default_rng(seed)

    def conv(inputs: int, outputs: int, kernel: int, groups: int) -> Conv:
        part = inputs // groups
        weights = rng.integers(0, 256, (outputs, kernel, kernel, -(-part // 8))).astype(np.uint8)
        if part % 8:
            weights[..., -1] &= (1 << part % 8) - 1
        spread = int(2 * (part * kernel**2) ** 0.5)
        return Conv(inputs, outputs, kernel, 1, (kernel // 2, kernel // 2), weights,
                    np.sort(rng.integers(-spread, spread, (outputs, 3)), axis=1).astype(np.int16), groups=groups)

    first = Conv(3, 68, 12, 4, (0, 0), rng.integers(-99, 100, (68, 12, 12, 3)).astype(np.int16),
                 np.sort(rng.integers(-90000, 90000, (68, 3)), axis=1).astype(np.int32), 16, 8)
    layers = (
        first,
        conv(68, 180, 5, 2), Pool(3, 2, (0, 1)),
        conv(180, 272, 3, 1), Pool(3, 2, (1, 1)),
        conv(272, 384, 3, 2),
        conv(384, 256, 3, 2), Pool(3, 2),
    )
    spec = InputSpec((224, 224), 3, "as-is", None, Encoding("pixels"))
    return Network("dorefa-net", "", "", ("qnn-mo-w1a2",), spec, layers, Decode("features"), ())


def counted(registers: Any) -> dict[str, int]:
    """Counts of the accesses from now on."""
    counts = {"read": 0, "write": 0}
    for name in counts:
        plain = getattr(registers, name)

        def access(*arguments: int, plain: Any = plain, name: str = name) -> Any:
            counts[name] += 1
            return plain(*arguments)

        setattr(registers, name, access)
    return counts


_PEAK = """
import sys
import numpy as np
from qnn_pynq import Classifier

def peak():
    lines = dict(line.split(":") for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(lines["VmHWM"].split()[0]) / 1024

begin = peak()
with Classifier(sys.argv[1], board=sys.argv[2]) as classifier:
    classifier.features(np.zeros((1, 224, 224, 3), np.uint8))
    print("{:.0f} {:.0f}".format(begin, peak()))
"""


def peak_memory(network: Any, board: str) -> tuple[int, int]:
    """MB that were resident in a process of its own at most (Linux): after the imports, and after one picture."""
    from qnn_pynq.networks import save_network

    with tempfile.TemporaryDirectory() as folder:
        save_network(network, Path(folder) / "net")
        found = subprocess.run(
            [sys.executable, "-c", _PEAK, str(Path(folder) / "net"), board], check=True, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    begin, end = map(int, found.stdout.split())
    return begin, end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=4, help="of the batch")
    arguments = parser.parse_args()

    from qnn_pynq.boards.emulated import EmulatedBoard
    from qnn_pynq.catalogue import find_overlay
    from qnn_pynq.engines import BoardEngine, SoftwareEngine

    network, overlay = dorefa_net(), find_overlay("qnn-mo-w1a2")
    pictures = np.random.default_rng(2).integers(0, 256, (arguments.images, 224 * 224 * 3)).astype(np.uint8)
    software = SoftwareEngine()
    software.load(network)
    wanted = software.run(pictures).values
    print(machine())
    rows, details = [], []
    for name, conservative in (("default", False), ("conservative", True)):
        for images in sorted({1, arguments.images}):
            with EmulatedBoard() as board, BoardEngine(board, [overlay], conservative) as engine:
                engine.load(network)
                counts = counted(board.ip(overlay.ip.name))
                begin = time.perf_counter()
                result = engine.run(pictures[:images])
                wall = time.perf_counter() - begin
                if not np.array_equal(result.values, wanted[:images]):
                    raise SystemExit(f"{name}: the overlay and the software disagree")
                plan, driver = engine.driver.plan, engine.driver
                moved = plan.put_bytes + plan.gathered_bytes + plan.taken_bytes
                rows.append([
                    name, str(images), str(len(plan.runs)), f"{plan.load_cycles:,}",
                    f"{plan.run_cycles:,}", f"{sum(counts.values()) / images:.0f}",
                    f"{moved:,}", f"{driver.dma_bytes:,}",
                    f"{1e3 * driver.expected_seconds(images) / images:.2f}",
                    f"{1e3 * wall / images:.1f}",
                ])
                if images == 1:
                    details += [[name, layer.name, str(layer.runs), f"{layer.macs:,}",
                                 f"{layer.load_cycles:,}", f"{layer.run_cycles:,}",
                                 f"{1e3 * layer.seconds:.3f}"] for layer in engine.layers()]
    print("\nDoReFa-Net's offloaded layers, per picture\n")
    print(table(["sequence", "batch", "loads", "load cycles a batch", "run cycles", "register accesses",
                 "bytes that the processor moves", "DMA bytes in all", "lower bound, ms", "emulation, ms"], rows))
    print("\nrecorded by upstream on a PYNQ-Z1, host work included: 82.1 ms and 77.1 ms\n")
    print(table(["sequence", "layer", "runs", "MACs", "load cycles", "run cycles", "modelled ms"], details))
    print("\nresident memory at most, one picture: " + "; ".join(
        f"{board}: {end} MB, of which {begin} MB by Python, numpy and the imports"
        for board, (begin, end) in ((board, peak_memory(network, board)) for board in ("cpu", "emulated"))))


if __name__ == "__main__":
    main()
