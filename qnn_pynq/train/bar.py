"""A progress bar for the steps of an epoch."""

from __future__ import annotations

from typing import Any

__all__ = ["epoch_bar"]


def epoch_bar(steps: Any, wanted: bool, epoch: int, epochs: int) -> Any:
    """`steps`, told on a terminal while they are taken, where that is wanted and tqdm is installed."""
    if not wanted:
        return steps
    try:
        from tqdm import tqdm
    except ImportError:
        return steps
    return tqdm(steps, desc="epoch {}/{}".format(epoch + 1, epochs), leave=False, disable=None)
