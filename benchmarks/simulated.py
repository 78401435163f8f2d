"""Cycles a second of the simulated board, with the engine's array busy.

    python benchmarks/simulated.py

The target: 100,000 cycles a second of one thread with 32 processing elements and 8 vectors. Compiling is timed apart.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from common import ROOT, machine, one_cpu, table

SIZES = ((32, 4, 4), (32, 6, 3), (32, 8, 2), (4, 2, 1))  # PE, vectors, blocks of a bank
GROUPS, STATUS, CONTROL, PROGRAM, CYCLES, BUSY = 0x2C, 0x20, 0x1C, 0x4000, 0x38, 0x3C
END = 1
# 100 pixels of 32 row groups of 16 words, one bit by one bit: 51,200 cycles a group of pictures
LAYER = (
    4 | 15 << 56,
    15 << 24 | 512 << 32 | 15 << 56,
    1,
    16 << 24 | 99 << 48,
    16 << 11 | 16 << 22 | 31 << 42,
    0,
)


def measure(size: tuple[int, int, int], groups: int) -> list[Any]:
    from qnn_pynq import open_board
    from qnn_pynq.contracts.overlay import Ip, Overlay, Rtl

    pe, vectors, blocks = size
    rtl = Rtl("engine", ROOT / "overlays" / "engine" / "rtl", {"P": pe, "V": vectors, "BLOCKS": blocks})
    ip = Ip("engine_0", "qnn-pynq:rtl:engine:1.0", 0x43C00000, 0x10000)
    overlay = Overlay("engine", "engine", "engine", ("Pynq-Z1",), ip, 100.0, {}, {}, {}, {}, {}, ROOT, rtl=rtl)
    with open_board("rtl") as board:
        begin = time.monotonic()
        board.configure(overlay)
        compiling = time.monotonic() - begin
        registers = board.ip("engine_0")
        for at, word in enumerate((*LAYER, END)):
            registers.write(PROGRAM + 8 * at, word & 0xFFFFFFFF)
            registers.write(PROGRAM + 8 * at + 4, word >> 32)
        registers.write(GROUPS, groups)
        before, begin = board.cycles, time.thread_time()
        registers.write(CONTROL, 1)
        board.wait("engine_0", (STATUS, 2), 60.0)
        seconds, cycles = time.thread_time() - begin, board.cycles - before
        share = registers.read(BUSY) / registers.read(CYCLES)
    return [f"{pe} x {vectors}", f"{compiling:.1f}", f"{cycles:,}", f"{100 * share:.1f} %", f"{cycles / seconds:,.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", type=int, default=10)
    arguments = parser.parse_args()
    one_cpu()
    print(machine())
    rows = [measure(size, arguments.groups) for size in SIZES]
    print(table(["PE x vectors", "compiling, s", "cycles", "array busy", "cycles/s"], rows))


if __name__ == "__main__":
    main()
