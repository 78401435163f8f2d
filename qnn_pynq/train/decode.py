"""From class sums to fired neurons: the level borders of the highest-bit decode rule.

The published overlay gives one bit a neuron, and the highest fired one wins. With `levels` neurons a class,
which share the class's weights under rising thresholds, the highest bit is the class with the highest
quantised sum. The borders are chosen so that this agrees best with the labels.
"""

from __future__ import annotations

import numpy as np

__all__ = ["OUTPUTS", "choose_levels", "decode", "levels_for", "temperature"]

OUTPUTS = 64  # neurons of the last layer of the LFC overlays
_MOST_LEVELS = 6


def levels_for(classes: int) -> int:
    """Neurons a class that there is room for."""
    return min(_MOST_LEVELS, OUTPUTS // classes)


def decode(sums: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """Class of each row of sums (N, C) by the overlay's rule; a sum passes border l if it is not below."""
    level = np.searchsorted(borders, sums, side="right")
    classes = sums.shape[1]
    key = level * classes + np.arange(classes)
    best = key.argmax(axis=1)
    # No neuron fired: class 0, as the driver answers.
    return np.where(level.max(axis=1) == 0, 0, best)


def choose_levels(
    sums: np.ndarray, labels: np.ndarray, levels: int, sweeps: int = 4, copies: int = 3, smooth: float = 0.3
) -> tuple[np.ndarray, float]:
    """Rising borders, float64 (levels,), and the accuracy they give.

    Starts from quantiles of the middle between the two highest sums of a picture, where a border tells them
    apart, and then moves one border at a time (coordinate descent on the accuracy).
    """
    sums = np.asarray(sums, np.float64)
    ranked = np.sort(sums, axis=1)
    gap = ranked[:, -1] - ranked[:, -2] if sums.shape[1] > 1 else ranked[:, -1]
    middle = ranked[:, -2:].mean(axis=1)
    close = middle[gap <= np.quantile(gap, 0.25)]
    borders = np.quantile(middle, np.linspace(0.05, 0.95, levels))

    # Shifted copies smooth the accuracy: the borders should also suit pictures a little lighter or heavier.
    spread = smooth * float(middle.std())
    shifts = np.random.RandomState(0).normal(0, spread, (copies, len(sums), 1)) if copies else np.zeros((0, 1, 1))
    jittered = np.concatenate([sums] + [sums + shift for shift in shifts])
    truth = np.tile(labels, len(shifts) + 1)

    def accuracy(candidate: np.ndarray) -> float:
        return float(np.mean(decode(jittered, candidate) == truth))

    best = accuracy(borders)
    other = np.quantile(close, (np.arange(levels) + 0.5) / levels)
    if accuracy(other) > best:
        borders, best = other, accuracy(other)
    reach = float(ranked[:, -1].max() - middle.min())
    # Sums come in steps of 1 or 2, so finer moves than that change nothing.
    moves = list(np.geomspace(1, max(reach / 4, 2), 10))
    for _ in range(sweeps):
        before = best
        for index in range(levels):
            for move in [s * m for m in moves for s in (-1, 1)]:
                candidate = borders.copy()
                candidate[index] += move
                candidate.sort()
                found = accuracy(candidate)
                if found > best:
                    borders, best = candidate, found
                    break
        if best == before:
            break
    return borders, float(np.mean(decode(sums, borders) == labels))


def temperature(margins: np.ndarray, labels: np.ndarray) -> float:
    """Scale with the least negative log likelihood of softmax(scale * margins) on held-out pictures."""
    margins = margins - margins.max(axis=1, keepdims=True)
    rows = np.arange(len(labels))

    def loss(scale: float) -> float:
        z = scale * margins
        return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[rows, labels]))

    grid = np.geomspace(1e-3, 1.0, 121)
    return float(grid[int(np.argmin([loss(scale) for scale in grid]))])
