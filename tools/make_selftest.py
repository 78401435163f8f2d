#!/usr/bin/env python3
"""Write selftest.npz of network folders: pictures drawn here, and the answers of plain numpy for them.

usage: tools/make_selftest.py params/lfc-w1a1-mnist params/...

tests/oracle.py (words or sums of dense networks) and tests/oracle_conv.py (codes and classes of convolutional ones) are
written from the published arithmetic, and share no code with what the self-test tests. Same network, same file,
byte for byte.
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
import oracle_conv  # noqa: E402

from qnn_pynq.networks import Linear, Network, load_network, save_network  # noqa: E402  # noqa: E402

NAME = "selftest.npz"
STROKES, NOISE = 24, 4
SCENES, SHAPES = 12, 5


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


def _scene(rows: np.ndarray, columns: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """A sky that shades into a ground, with soft discs and stripes of random colours before it."""
    height, width = rows.shape[0], columns.shape[1]
    top, bottom = random.uniform(0, 255, (2, 3))
    shade = (rows / height)[:, :, None]
    picture = (1 - shade) * top + shade * bottom + np.zeros((height, width, 3))
    for index in range(SHAPES):
        if index % 2:
            cover = _stroke(rows, columns, random)
        else:
            y, x = random.uniform(0.2, 0.8, 2) * (height, width)
            stretch = random.uniform(0.5, 2)
            distance = np.hypot((rows - y) * stretch, (columns - x) / stretch)
            cover = np.clip(random.uniform(0.1, 0.3) * height - distance, 0, 1)
        colour = random.uniform(0, 255, 3)
        if index == 2:  # a texture
            waves = np.sin(rows * random.uniform(0.3, 2)) * np.sin(columns * random.uniform(0.3, 2))
            colour = np.clip(colour + 80 * waves[:, :, None], 0, 255)
        picture += cover[:, :, None] * (colour - picture)
    return picture


def make_scenes(size: tuple[int, int], channels: int) -> np.ndarray:
    """uint8 (n, height, width, channels): drawn scenes, noise of two grains, black, white."""
    random = np.random.RandomState(20261121)
    height, width = size
    rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width)[None, :] + 0.5
    pictures = [_scene(rows, columns, random) for _ in range(SCENES)]
    coarse = random.randint(0, 256, (height // 8 + 1, width // 8 + 1, 3)).repeat(8, axis=0).repeat(8, axis=1)
    pictures += [coarse[:height, :width], random.randint(0, 256, (height, width, 3))]
    pictures += [np.full((height, width, 3), value) for value in (0, 255)]
    return np.array(pictures).astype(np.uint8)[..., :channels]


def _dense_answers(network: Network) -> dict[str, np.ndarray]:
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
    if network.decode.rule == "largest-sum":
        sums = oracle.lfc_sums(network.layers, bits).astype(np.int32)
        return {"pictures": pictures, "sums": sums, "classes": sums.argmax(axis=1).astype(np.int64)}
    return {"pictures": pictures, "words": oracle.lfc_words(network.layers, bits)}


def _convolutional_answers(network: Network) -> dict[str, np.ndarray]:
    if network.input.encoding.kind != "pixels":
        # Sums of floats depend on their order: a code at its threshold would fail on a good machine.
        sys.exit(f"{network.name}: the first layer computes with floats, whose codes no file can fix")
    pictures = make_scenes(network.input.size, network.input.channels)
    tail = [layer for layer in network.layers if isinstance(layer, Linear)]
    codes = oracle_conv.forward(network.layers[: len(network.layers) - len(tail)], pictures)
    found = {"pictures": pictures, "codes": codes}
    if tail:
        found["classes"] = oracle_conv.forward(tail, codes).argmax(axis=1).astype(np.int64)
    return found


def make_selftest(folder: Path) -> Path:
    """Write `selftest.npz` into a network folder and name it in its descriptor; returns its path."""
    target = folder / NAME
    if not target.exists():
        target.touch()  # the descriptor may name it already
    network = load_network(folder)
    dense = network.input.encoding.kind in ("threshold", "table")
    answers = _dense_answers(network) if dense else _convolutional_answers(network)
    with tempfile.TemporaryDirectory() as made:
        np.savez_compressed(str(Path(made) / NAME), **answers)
        save_network(dataclasses.replace(network, selftest=NAME, path=Path(made)), folder, overwrite=True)
    said = next(values for kind, values in answers.items() if kind != "pictures")
    print(
        f"{target}: {len(said)} pictures, {len({row.tobytes() for row in said})} different answers, "
        f"{sum(not row.any() for row in said)} of them 0; {target.stat().st_size} bytes"
    )
    if "classes" in answers:
        print("classes {}".format(answers["classes"].tolist()))
    return target


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    for argument in sys.argv[1:]:
        make_selftest(Path(argument))
