"""What polling costs: how late the end of a run is noticed, and the processor's share of the wait.

    python benchmarks/waiting.py

The register is a word of memory, so a read is as fast as Python makes it; on a board the bus adds below a microsecond.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from common import machine, one_cpu, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="to spend on each length (default: 10)")
    arguments = parser.parse_args()
    one_cpu()

    from qnn_pynq.contracts.board import Board, Registers
    from qnn_pynq.contracts.clock import RealClock

    class Run(Board, Registers):
        """A board whose register shows bit 1 from a moment on."""

        word = np.array([1, 2], np.uint32)

        def read(self, offset: int) -> int:
            return int(self.word[int(time.perf_counter() >= self.ends)])

        def ip(self, name: str) -> Run:
            return self

        write = run_program = configure = loaded = allocate = reset = None

    board = Run(RealClock())
    rows = []
    for length in (0.001, 0.01, 0.1, 1.0):
        late, busy = [], []
        for number in range(max(5, int(arguments.seconds / length / 2))):
            cpu, begin = time.thread_time(), time.perf_counter()
            board.ends = begin + length * (0.9 + 0.02 * (number % 11))
            board.wait("ip", (0, 2), 10.0)
            end = time.perf_counter()
            late.append((end - board.ends) / (board.ends - begin))
            busy.append((time.thread_time() - cpu) / (end - begin))
        worst = sorted(late)[int(0.95 * len(late))]
        figures = (statistics.median(late), worst, statistics.median(busy))
        rows.append([f"{1e3 * length:g} ms", *(f"{100 * each:.2f} %" for each in figures)])
    print(machine())
    print(table(["a run of", "noticed late, median", "95th percentile", "processor"], rows))


if __name__ == "__main__":
    main()
