"""What the invented circuit computes, in plain numpy; imports nothing of the library or of the plug-in."""

from __future__ import annotations

import numpy as np

SIZE = 8


def glyphs() -> np.ndarray:
    """uint8 (5, 8, 8): cross, ring, stripes, wedge, dot."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    far = np.maximum(np.abs(2 * y - 7), np.abs(2 * x - 7))
    drawn = [(y == 3) | (x == 3), (far >= 3) & (far <= 5), x % 3 == 0, x + 2 * y < 9, (x - 5) ** 2 + (y - 2) ** 2 < 4]
    return np.array([np.where(one, 200 + 7 * number, 10 * number) for number, one in enumerate(drawn)], np.uint8)


def sums(pictures: np.ndarray, templates: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """int32 (n, templates) of pictures (n, 8, 8): one picture and one template at a time."""
    found = np.empty((len(pictures), len(templates)), np.int32)
    for row, picture in enumerate(pictures.reshape(len(pictures), SIZE, SIZE).astype(int)):
        for column, template in enumerate(templates.astype(int)):
            found[row, column] = int(offsets[column]) - int(np.abs(picture - template).sum())
    return found


def mirrored(pictures: np.ndarray) -> np.ndarray:
    """Each line the other way round."""
    return pictures.reshape(len(pictures), SIZE, SIZE)[:, :, ::-1]


def noisy(templates: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(pictures (count, 8, 8), which template each was made of)."""
    rng = np.random.RandomState(seed)
    labels = rng.randint(0, len(templates), count)
    noise = rng.randint(-40, 41, (count, SIZE, SIZE))
    return np.clip(templates[labels] + noise, 0, 255).astype(np.uint8), labels.astype(np.int64)
