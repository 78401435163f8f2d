#!/usr/bin/env python3
"""Store known answers beside networks: `python training/known_answers.py params/lfc-*`.

16 pictures that we draw (strokes, blobs, ramps, noise; no data-set picture) and the result words that the
oracle of the tests (plain numpy, shares no code with the package) computes for them.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import oracle  # noqa: E402

from qnn_pynq.network import load_network, save_network  # noqa: E402

FILE = "selftest.npz"


def draw(count: int = 16, seed: int = 2026, side: int = 28) -> np.ndarray:
    """Pictures uint8 (count, side*side): light strokes and blobs on black, then hostile ones."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[:side, :side].astype(np.float64)
    pictures = np.zeros((count, side, side))
    for index in range(count - 4):
        points = random.uniform(5, side - 5, (random.randint(2, 6), 2))
        width = random.uniform(1.0, 2.0) if index % 2 else random.uniform(3.5, 6.0)
        for start, end in zip(points[:-1], points[1:]):
            along = end - start
            place = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(float(along @ along), 1e-9)
            place = np.clip(place, 0, 1)
            distance = np.hypot(x - start[0] - place * along[0], y - start[1] - place * along[1])
            level = np.clip(width + 0.5 - distance, 0, 1) * random.randint(120, 256)
            pictures[index] = np.maximum(pictures[index], level)
    pictures[-4] = x * 255 / (side - 1)
    pictures[-3] = random.randint(0, 256, (side, side))
    pictures[-2] = 255
    # The last one stays black.
    return np.rint(pictures).astype(np.uint8).reshape(count, -1)


def add(directory: Path) -> None:
    """Write FILE and name it in the descriptor."""
    network = load_network(directory)
    encoding = network.input.encoding
    pictures = draw()
    bits = oracle.encode(pictures, network.layers[0].inputs, encoding.threshold, encoding.pixels, encoding.thresholds)
    words = oracle.lfc_words(network.layers, bits).astype(np.uint64)
    np.savez_compressed(str(directory / FILE), pictures=pictures, words=words)
    save_network(replace(network, selftest=FILE, path=directory), directory, overwrite=True)


def main() -> int:
    for name in sys.argv[1:]:
        add(Path(name))
        print("{}: {}".format(name, FILE))
    return 0


if __name__ == "__main__":
    sys.exit(main())
