"""Colour pictures for the DoReFa networks: the packs, their decoded cache, and augmentation."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import data_places
from ..errors import InputError, NotFoundError
from ._torch import torch
from .data import DataSet
from .dorefa_recipes import Recipe

__all__ = ["crop_middle", "distort", "load_colour", "split_colour"]


def _folder(name: str) -> Path:
    places = [folder for place in data_places() for folder in (place / "data" / name, place / name)]
    found = next((folder for folder in places if folder.is_dir()), None)
    if found is None:
        raise NotFoundError(
            "no folder of {}: put it into one of {}, or set QNN_PYNQ_DATA".format(
                name, ", ".join(str(place) for place in places)
            )
        )
    return found


def _jpegs(path: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Pictures, labels and classes of a pack of JPEG pictures of one size."""
    from PIL import Image

    with np.load(str(path), allow_pickle=False) as pack:
        blob, offsets = pack["blob"], pack["offsets"]
        labels, classes = pack["labels"].astype(np.int64), tuple(str(name) for name in pack["classes"])
    pictures = [
        np.asarray(Image.open(io.BytesIO(blob[start:stop].tobytes())).convert("RGB"))
        for start, stop in zip(offsets[:-1], offsets[1:])
    ]
    return np.stack(pictures), labels, classes


def _columns(folder: Path, part: str, side: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The same of lossless columns of pictures, with labels.npz beside them."""
    from PIL import Image

    files = sorted(folder.glob(part + "_*.webp"))
    if not files:
        raise InputError("{}: no {}_*.webp".format(folder, part))
    pictures = [np.asarray(Image.open(str(file)).convert("RGB")).reshape(-1, side, side, 3) for file in files]
    with np.load(str(folder / "labels.npz"), allow_pickle=False) as found:
        return (
            np.concatenate(pictures),
            found[part].astype(np.int64),
            tuple(str(name) for name in found["classes"]),
        )


def load_colour(name: str, part: str, cache: Path | None = None) -> DataSet:
    """`part` ("train" or "test") of "imagenette72" or "cifar10": pictures uint8 (N, H, W, 3).

    Parameters
    ----------
    cache
        Folder where the decoded pictures are kept for the next run.
    """
    folder = _folder(name)
    kept = cache / "{}-{}.npz".format(name, part) if cache is not None else None
    if kept is not None and kept.is_file():
        with np.load(str(kept), allow_pickle=False) as found:
            return DataSet(found["pictures"], found["labels"], tuple(str(c) for c in found["classes"]))
    if name == "cifar10":
        pictures, labels, classes = _columns(folder, part, 32)
    else:
        pictures, labels, classes = _jpegs(folder / ("train.npz" if part == "train" else "val.npz"))
    if len(pictures) != len(labels):
        raise InputError("{} {}: {} pictures but {} labels".format(name, part, len(pictures), len(labels)))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_name(kept.name + ".part")
        with open(str(partial), "wb") as file:
            np.savez(file, pictures=pictures, labels=labels, classes=np.array(classes))
        partial.replace(kept)
    return DataSet(pictures, labels, classes)


def split_colour(data: DataSet, held_out: int, seed: int) -> tuple[DataSet, DataSet]:
    """Seeded random split into (training, held out)."""
    order = np.random.RandomState(seed).permutation(len(data.labels))
    first, second = np.sort(order[: len(order) - held_out]), np.sort(order[len(order) - held_out :])
    return (
        DataSet(data.pictures[first], data.labels[first], data.classes),
        DataSet(data.pictures[second], data.labels[second], data.classes),
    )


def crop_middle(pictures: np.ndarray, size: int) -> np.ndarray:
    """The middle size x size pixels, as the classifier takes them."""
    top, left = ((side - size) // 2 for side in pictures.shape[1:3])
    return np.ascontiguousarray(pictures[:, top : top + size, left : left + size])


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
    flip = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
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
