"""What the steps of both training loops share: seed, rate, targets, and a bar that tells of them."""

from __future__ import annotations

import math
from typing import Any

from ._torch import torch

__all__ = ["cosine_rate", "epoch_bar", "seed_epoch", "set_rate", "smooth_targets"]


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed of an epoch, so that a resumed training repeats an uninterrupted one."""
    torch.manual_seed(seed * 100003 + epoch)


def cosine_rate(first: float, last: float, done: float) -> float:
    """Rate after the part `done` (0..1) of a training, from `first` down to `last`."""
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2


def set_rate(optimiser: Any, rate: float) -> None:
    """`rate`, times the `scale` of each group of parameters."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]


def smooth_targets(labels: Any, classes: int, smoothing: float, distill: float = 0.0, answers: Any = None) -> Any:
    """Probabilities that the scores should give, (n, classes); a share `distill` are the teacher's `answers`."""
    hard = torch.nn.functional.one_hot(labels, classes).float()
    hard = hard * (1 - smoothing) + smoothing / classes
    return hard if answers is None else (1 - distill) * hard + distill * answers


def epoch_bar(steps: Any, wanted: bool, epoch: int, epochs: int) -> Any:
    """`steps`, told on a terminal while they are taken, where that is wanted and tqdm is installed."""
    if not wanted:
        return steps
    try:
        from tqdm import tqdm
    except ImportError:
        return steps
    return tqdm(steps, desc=f"epoch {epoch + 1}/{epochs}", leave=False, disable=None)
