"""Colour pictures for the DoReFa networks: their decoded cache, splits, and augmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.colour import COLOUR_SETS, colour_folder, read_colour
from ...datasets.public import data_places
from ...errors import NotFoundError
from ...files.replacing import replacing
from .._torch import torch
from ..data import DataSet
from .recipes import Recipe

__all__ = ["distort", "load_colour"]


def load_colour(name: str, part: str, cache: Path | None = None) -> DataSet:
    """`part` ("train" or "test") of "imagenette" or "cifar10": pictures uint8 (N, H, W, 3).

    Parameters
    ----------
    cache
        Folder where the decoded pictures are kept for the next run.
    """
    kept = cache / f"{name}-{part}.npz" if cache is not None else None
    if kept is not None and kept.is_file():
        with np.load(str(kept), allow_pickle=False) as found:
            return DataSet(found["pictures"], found["labels"], tuple(str(c) for c in found["classes"]))
    folder = colour_folder(name)
    if folder is None:
        raise NotFoundError(
            "no {} in {}: get it from {}, and set QNN_PYNQ_DATA".format(
                name, ", ".join(str(place) for place in data_places()), COLOUR_SETS[name].home
            )
        )
    data = DataSet(*read_colour(folder, part))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as file:
            np.savez(file, pictures=data.pictures, labels=data.labels, classes=np.array(data.classes))
    return data


def distort(x: Any, size: int, recipe: Recipe) -> Any:
    """Random parts of pictures, whole pixel values: float (n, 3, H, W) to float (n, 3, size, size).

    Parts reach beyond the picture where the crop asks for more than it has; there they are 0.
    """
    n, side = len(x), x.shape[2]
    low, high = recipe.crop
    length = low + (high - low) * torch.rand(n)
    ratio = torch.exp(recipe.aspect * (2 * torch.rand(n) - 1))
    wide, tall = length * ratio / side, length / ratio / side
    # The part's centre: inside the picture, or where the whole picture stays in the part.
    away_x, away_y = (torch.rand(n) * 2 - 1) * (1 - wide).abs(), (torch.rand(n) * 2 - 1) * (1 - tall).abs()
    flip = torch.where(torch.rand(n) < (0.5 if recipe.mirror else 0.0), -1.0, 1.0)
    zero = torch.zeros(n)
    theta = torch.stack([torch.stack([wide * flip, zero, away_x], 1), torch.stack([zero, tall, away_y], 1)], 1)
    grid = torch.nn.functional.affine_grid(theta, [n, 3, size, size], align_corners=False)
    x = torch.nn.functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    if recipe.colour:
        amount = recipe.colour
        gain = 1 + amount * (2 * torch.rand(n, 1, 1, 1) - 1)
        tint = 1 + amount / 2 * (2 * torch.rand(n, 3, 1, 1) - 1)
        mean = x.mean((1, 2, 3), keepdim=True)
        contrast = 1 + amount * (2 * torch.rand(n, 1, 1, 1) - 1)
        x = ((x - mean) * contrast + mean) * gain * tint
    if recipe.cutout:
        place = torch.arange(size)
        half = recipe.cutout / 2
        row, column = torch.rand(2, n, 1) * size
        inside = ((place - row).abs() < half)[:, :, None] & ((place - column).abs() < half)[:, None, :]
        x = x.masked_fill(inside[:, None], 0.0)
    return x.round().clamp_(0, 255)
