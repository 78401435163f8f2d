"""Statistics of batch norm: what is folded, and how they are measured anew at the end of a training."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterable, Iterator

import numpy as np

__all__ = ["measured_anew", "statistics"]

_MOMENTUM = 0.1  # torch's, while it trains


def statistics(norm: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """gamma, beta, mean and inverse deviation of each neuron or channel, float64."""
    gamma, beta, mean, variance = (
        tensor.detach().cpu().double().numpy()
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    return gamma, beta, mean, 1 / np.sqrt(variance + norm.eps)


@contextmanager
def measured_anew(norms: Iterable[Any]) -> Iterator[None]:
    """What the network sees within becomes its statistics, every batch with the same weight."""
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    yield
    for norm in norms:
        norm.momentum = _MOMENTUM
