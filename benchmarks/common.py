"""What the benchmarks share: a random LFC network, interleaved timing, a table."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a checkout needs no install

SIZES = (832, 1024, 1024, 1024, 64)


def one_cpu() -> None:
    """Stay on one processor, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def random_network(ternary: bool, seed: int = 1) -> Any:
    """An LFC network (W1A1, or W1A2 if ternary) with random weights: time does not depend on them."""
    from qnn_pynq.networks import Decode, Dense, Encoding, InputSpec, Network

    rng = np.random.default_rng(seed)
    layers = []
    kind = "binary"
    for number, (inputs, outputs) in enumerate(zip(SIZES, SIZES[1:])):
        output = "ternary" if ternary and number < 3 else "binary"
        middle = 0 if ternary else inputs // 2
        layers.append(
            Dense(
                inputs,
                outputs,
                rng.integers(0, 256, size=(outputs, inputs // 8)).astype(np.uint8),
                (middle + rng.integers(-10, 11, size=(outputs, 2 if output == "ternary" else 1))).astype(
                    np.int32
                ),
                1,
                kind,
                "sum" if ternary else "popcount",
                output,
            )
        )
        kind = output
    name = "lfc-w1a2" if ternary else "lfc-w1a1"
    spec = InputSpec((28, 28), 1, "light-on-dark", None, Encoding("threshold", 128))
    classes = tuple(str(i) for i in range(10))
    return Network(
        name, name, "random weights", ("bnn-pynq-" + name,), spec, tuple(layers), Decode(), classes
    )


def interleaved(
    tasks: dict[Any, tuple[Callable[[], Any], int]], rounds: int, burst: float
) -> dict[Any, float]:
    """Microseconds of thread CPU time per image, median over rounds.

    tasks: key -> (call, images of a call). Every round runs every task for about `burst` seconds, so what
    else happens on the machine hits all of them alike.
    """
    repeats = {}
    for key, (call, _) in tasks.items():
        call()
        begin, count = time.thread_time(), 0
        while time.thread_time() - begin < burst / 2:
            call()
            count += 1
        repeats[key] = max(1, 2 * count)
    samples: dict[Any, list[float]] = {key: [] for key in tasks}
    for number in range(rounds):
        for key, (call, images) in tasks.items():
            begin = time.thread_time_ns()
            for _ in range(repeats[key]):
                call()
            samples[key].append((time.thread_time_ns() - begin) / 1e3 / repeats[key] / images)
        if sys.stderr.isatty():
            print(f"round {number + 1} of {rounds}", end="\r", file=sys.stderr)
    return {key: statistics.median(values) for key, values in samples.items()}


def machine() -> str:
    """One line on where this was measured."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return f"{name}, Python {platform.python_version()}, numpy {np.__version__}, load {load:.1f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Markdown, columns aligned."""
    widths = [max(len(row[i]) for row in [header] + rows) for i in range(len(header))]

    def line(cells: list[str]) -> str:
        first = cells[0].ljust(widths[0])
        return "| " + " | ".join([first] + [c.rjust(w) for c, w in zip(cells[1:], widths[1:])]) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2)] + ["-" * (w + 1) + ":" for w in widths[1:]]) + "|"
    return "\n".join([line(header), rule] + [line(row) for row in rows])
