#!/usr/bin/env python3
"""Write selftest.npz of network folders: pictures made here, and the words of tests/oracle.py for them.

usage: tools/make_selftest.py params/lfc-w1a1-mnist params/...

The oracle is plain numpy written from the published arithmetic, and shares no code with what the self-test
tests. Same network, same file, byte for byte.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import oracle  # noqa: E402

from qnn_pynq.network import load_network, save_network  # noqa: E402

NAME = "selftest.npz"
STROKES, NOISE = 24, 4


def _stroke(rows: np.ndarray, columns: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """A bright stroke between two points of a rows x columns picture, soft at its edges."""
    height, width = rows.shape[0], columns.shape[1]
    (y0, x0), (y1, x1) = random.uniform(0.15, 0.85, (2, 2)) * (height, width)
    length = max(np.hypot(y1 - y0, x1 - x0), 1e-6)
    along = np.clip(((rows - y0) * (y1 - y0) + (columns - x0) * (x1 - x0)) / length**2, 0, 1)
    distance = np.hypot(rows - y0 - along * (y1 - y0), columns - x0 - along * (x1 - x0))
    thick = random.uniform(0.04, 0.1) * height
    return np.clip(1.5 - distance / thick, 0, 1)


def make_pictures(size: tuple[int, int], channels: int, levels: np.ndarray) -> np.ndarray:
    """uint8 (n, height*width*channels): strokes, noise, plain ones, pixels on either side of thresholds."""
    random = np.random.RandomState(20261120)
    height, width = size
    rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width)[None, :] + 0.5
    pictures = []
    for count in range(STROKES):
        strokes = [_stroke(rows, columns, random) for _ in range(2 + count % 4)]
        grey = np.max(strokes, axis=0) * random.uniform(150, 255)
        pictures.append(np.repeat(grey[:, :, None], channels, axis=2))
    pictures += list(random.randint(0, 256, (NOISE, height, width, channels)))
    pictures += [np.full((height, width, channels), value) for value in (0, 255)]
    pictures.append(np.repeat((255 * columns / width + 0 * rows)[:, :, None], channels, axis=2))
    # Off by one in a threshold shows here: every pixel is the threshold itself or one less.
    near = random.choice(levels, (height, width, channels)).astype(np.int64)
    pictures.append(np.clip(near - random.randint(0, 2, near.shape), 0, 255))
    return np.array(pictures).astype(np.uint8).reshape(len(pictures), -1)


def make_selftest(folder: Path) -> Path:
    """Write `selftest.npz` into a network folder and name it in its descriptor; returns its path."""
    target = folder / NAME
    if not target.exists():
        target.touch()  # the descriptor may name it already
    network = load_network(folder)
    encoding = network.input.encoding
    levels = np.array([encoding.threshold]) if encoding.kind == "threshold" else np.unique(encoding.thresholds)
    pictures = make_pictures(network.input.size, network.input.channels, levels)
    bits = oracle.encode(
        pictures,
        network.layers[0].inputs,
        threshold=encoding.threshold,
        pixels=encoding.pixels,
        thresholds=encoding.thresholds,
    )
    words = oracle.lfc_words(network.layers, bits)
    with tempfile.TemporaryDirectory() as made:
        np.savez_compressed(str(Path(made) / NAME), pictures=pictures, words=words)
        save_network(dataclasses.replace(network, selftest=NAME, path=Path(made)), folder, overwrite=True)
    print(
        "{}: {} pictures, {} different words, {} of them 0".format(
            target, len(words), len(set(words.tolist())), int((words == 0).sum())
        )
    )
    return target


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    for argument in sys.argv[1:]:
        make_selftest(Path(argument))
