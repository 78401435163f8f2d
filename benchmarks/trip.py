"""How far a trip through the package goes on the emulated board: files, changes of file, and calls.

    python benchmarks/trip.py
    python benchmarks/trip.py --most 12
    python benchmarks/trip.py --package ../before

Counted by `sys.setprofile` on the second trip of an object that is made already:

- calls: Python functions of the package that were entered. Generators count each time that they go on;
  comprehensions are functions up to Python 3.11. C functions and other packages are not counted.
- files: distinct files of these functions.
- changes of file: calls whose function is in another file than that of the call of the package before it in the same
  thread. Returns are not counted.

Threads that a trip starts are counted with it, those that are there before are not.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Callable

from common import machine, table
from PIL import Image

BOUNDS = {
    "classify, LFC": {"files": 15, "changes": 60},
    "classify, DoReFa": {"files": 22, "changes": 300},
    "classify, LFC on the engine": {"files": 33, "changes": 1900},
    "StreamOverlay, three numbers": {"calls": 400},
}
NETWORKS = {
    "classify, LFC": ("lfc-w1a1-mnist", "bnn-pynq-lfc-w1a1", "L", 28),
    "classify, DoReFa": ("dorefa-w1a2-imagenette", "qnn-mo-w1a2", "RGB", 64),
    "classify, LFC on the engine": ("lfc-w1a1-mnist", "engine-z7020-32x2", "L", 28),
}


class Trip:
    """What a call did within one folder of Python files."""

    def __init__(self) -> None:
        self.by_function: Counter[tuple[str, str]] = Counter()  # (file, function)
        self.changes = 0

    @property
    def calls(self) -> int:
        return sum(self.by_function.values())

    @property
    def by_file(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for (file, _), times in self.by_function.items():
            found[file] += times
        return found

    @property
    def files(self) -> int:
        return len(self.by_file)


def count(call: Callable[[], Any], folder: Path) -> Trip:
    """Calls and changes of file of the Python files in a folder, while `call` runs."""
    trip, home, last = Trip(), str(folder) + os.sep, {}

    def note(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(home):
            return
        file, thread = code.co_filename[len(home):], threading.get_ident()
        trip.by_function[file, f"{code.co_name} ({code.co_firstlineno})"] += 1
        trip.changes += last.get(thread, file) != file
        last[thread] = file

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
        threading.setprofile(None)  # type: ignore[arg-type]
    return trip


def measure(name: str) -> Trip:
    """The trip of that name in BOUNDS, by the package that is imported now."""
    import qnn_pynq

    home = Path(qnn_pynq.__file__).parent
    if name in NETWORKS:
        network, overlay, mode, size = NETWORKS[name]
        fitting = Image.open(str(home / "demo" / "coat.png")).convert(mode).resize((size, size))
        with qnn_pynq.Classifier(network, board="emulated", overlay=overlay) as classifier:
            classifier.classify(fitting)
            return count(lambda: classifier.classify(fitting), home)
    ends = {"type": "ap_fixed<16,6>", "shape": [3]}
    double = {"format": "qnn-pynq-streams", "version": 1, "name": "twice",
              "inputs": [dict(ends, name="x")], "outputs": [dict(ends, name="y")]}
    with qnn_pynq.StreamOverlay(double, board="emulated", twin=lambda x: 2 * x) as circuit:
        circuit([1.5, -2.0, 0.25])
        return count(lambda: circuit([1.5, -2.0, 0.25]), home)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=0, metavar="N", help="show the N busiest files and functions too")
    parser.add_argument("--package", type=Path, help="checkout to measure instead, with its kernels built")
    options = parser.parse_args()
    if options.package is not None:
        sys.path.insert(0, str(options.package.resolve()))
    trips = {name: measure(name) for name in BOUNDS}
    rows = []
    for name, trip in trips.items():
        cells = [name]
        for what in ("files", "changes", "calls"):
            cells += [str(getattr(trip, what)), str(BOUNDS[name].get(what, ""))]
        rows.append(cells)
    print(machine())
    print(table(["trip", "files", "at most", "changes of file", "at most", "calls", "at most"], rows))
    for name, trip in trips.items() if options.most else ():
        print("\n" + name)
        for file, times in trip.by_file.most_common(options.most):
            print(f"{times:6}  {file}")
        print()
        for (file, function), times in trip.by_function.most_common(options.most):
            print(f"{times:6}  {file}  {function}")


if __name__ == "__main__":
    main()
