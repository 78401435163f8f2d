"""Learn which (pixel, threshold) pairs the 832 input bits should be.

A thermometer of ten thresholds for every pixel feeds a small float network; pairs with little influence are
removed, a share of them after each pass over the pictures, until 832 are left.
"""

from __future__ import annotations

import logging
from typing import Any, Callable

import numpy as np

from .._torch import torch
from ..data import DataSet
from .encoding import INPUTS, Table
from .model import Product

__all__ = ["learn_table"]

_log = logging.getLogger(__name__)
_LEVELS = (8, 32, 56, 80, 104, 128, 152, 176, 200, 224)
_KEPT = (6.0, 4.8, 3.6, 2.65, 2.05, 1.55, 1.2, 1.0)  # pairs after each pass, as multiples of the inputs
_HIDDEN = 256
_BATCH = 256
_LASSO = 2e-4


def learn_table(data: DataSet, seed: int, inputs: int = INPUTS, report: Callable[[str], None] = _log.info) -> Table:
    """Table of `inputs` pairs chosen on the training pictures (about 35 s on one core for 55,000)."""
    torch.manual_seed(seed)
    flat = torch.from_numpy(np.array(data.pictures)).reshape(len(data.labels), -1)
    labels = torch.from_numpy(data.labels)
    pixels = torch.arange(flat.shape[1]).repeat_interleave(len(_LEVELS))
    thresholds = torch.tensor(_LEVELS, dtype=torch.uint8).repeat(flat.shape[1])
    first = torch.nn.Parameter(torch.randn(len(pixels), _HIDDEN) * 0.02)
    rest = torch.nn.Sequential(
        torch.nn.BatchNorm1d(_HIDDEN), torch.nn.ReLU(), torch.nn.Linear(_HIDDEN, len(data.classes))
    )
    for kept in _KEPT:
        _one_pass(flat, labels, pixels, thresholds, first, rest)
        share = (flat[:10000][:, pixels] >= thresholds).float().mean(0)
        influence = first.detach().norm(dim=1) * (share * (1 - share)).sqrt()
        count = min(int(round(kept * inputs)), len(pixels))
        best = influence.topk(count).indices.sort().values
        pixels, thresholds = pixels[best], thresholds[best]
        first = torch.nn.Parameter(first.detach()[best].clone())
        report(f"table: {count} pairs, {len(pixels.unique())} pixels")
    return Table(pixels.numpy().astype(np.uint16), thresholds.numpy())


def _one_pass(flat: Any, labels: Any, pixels: Any, thresholds: Any, first: Any, rest: Any) -> None:
    optimiser = torch.optim.Adam([first] + list(rest.parameters()), 1e-3)
    order = torch.randperm(len(labels))
    batch = min(_BATCH, len(labels))
    for start in range(0, len(labels) - batch + 1, batch):
        index = order[start : start + batch]
        x = (flat[index][:, pixels] >= thresholds).to(torch.bfloat16)
        loss = torch.nn.functional.cross_entropy(
            rest(Product.apply(x, first.t(), False)), labels[index], label_smoothing=0.05
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        with torch.no_grad():  # proximal step of the group lasso: a pair is a group
            first.mul_((1 - _LASSO / (first.norm(dim=1, keepdim=True) + 1e-9)).clamp_min(0))
