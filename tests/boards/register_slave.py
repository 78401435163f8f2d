"""A twin behind registers in shared memory, served by a process of its own: what a C loop meets on a board.

Plain memory has no side effects: a start is the word 1 at offset 0, and the answer is 6 (done and idle) in its place.
"""
from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from qnn_pynq.catalogue import find_overlay
from qnn_pynq.contracts.clock import VirtualClock
from qnn_pynq.contracts.families import twin_class
from qnn_pynq.contracts.twin import Memory
from qnn_pynq.errors import BusError

BASE = 0x10000000
START, FREE = 1, 6
BYTES = {"registers": 0x10000, "memory": 8 << 20}
_TESTS = Path(__file__).resolve().parent


def mapped(folder: Path, name: str) -> np.ndarray:
    """The shared words or bytes, as /dev/mem gives them."""
    with open(str(folder / name), "r+b") as file:
        shared = mmap.mmap(file.fileno(), BYTES[name])
    return np.frombuffer(shared, np.uint32 if name == "registers" else np.uint8)


class SharedMemory(Memory):
    """The logic's side of the shared bytes."""

    def __init__(self, data: np.ndarray) -> None:
        self._data = data

    def read(self, address: int, nbytes: int) -> np.ndarray:
        if not BASE <= address <= BASE + self._data.size - nbytes:
            raise BusError(f"the logic accessed {address:#x}")
        return self._data[address - BASE:address - BASE + nbytes]

    def write(self, address: int, data: np.ndarray) -> None:
        self.read(address, data.size)[:] = data


class Slave:
    """The serving process, until `stop`."""

    def __init__(self, folder: Path, overlay: str) -> None:
        self.folder = folder
        for name, size in BYTES.items():
            with open(str(folder / name), "ab") as file:
                file.truncate(size)
        self.registers, self.memory = mapped(folder, "registers"), mapped(folder, "memory")
        self.registers[:] = 0
        environment = dict(os.environ, PYTHONPATH=str(_TESTS.parents[1]))
        self.process = subprocess.Popen([sys.executable, __file__, str(folder), overlay], env=environment,
                                        stdout=subprocess.PIPE)
        assert self.process.stdout is not None and self.process.stdout.readline() == b"ready\n"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def serve(registers: np.ndarray, memory: np.ndarray, overlay: Any) -> None:
    """Play the twin, for ever."""
    clock = VirtualClock()
    twin = twin_class(overlay.kind)(overlay, SharedMemory(memory), clock)
    offsets = sorted(twin.registers)
    words = [offset // 4 for offset in offsets]
    before = [0] * len(offsets)
    registers[0] = 4
    print("ready", flush=True)
    idle = 0
    control = memoryview(registers)
    while True:
        if control[0] != START:
            idle += 1
            if idle > 200:  # whoever else has work
                os.sched_yield()
            continue
        idle = 0
        for place, value in enumerate(registers[words].tolist()):
            if value != before[place]:
                before[place] = value
                twin.write(offsets[place], value)
        begun, modelled = time.perf_counter(), clock.now()
        twin.write(0, START)
        while twin.busy_until is not None:
            clock.sleep_until(twin.busy_until)
            twin.settle()
        twin.read(0)
        while time.perf_counter() - begun < clock.now() - modelled:
            pass  # no sooner than the circuit
        registers[0] = FREE


if __name__ == "__main__":
    serve(mapped(Path(sys.argv[1]), "registers"), mapped(Path(sys.argv[1]), "memory"), find_overlay(sys.argv[2]))
