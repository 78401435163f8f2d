"""Train on a user's own pictures: folder or .npz in, network directory out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from ...contracts.network import Encoding, InputSpec
from ...networks.store import save_network
from ..arguments import Arguments, check_arguments
from ..data import DataSet
from ..source import ENOUGH, read_parted, split_by_class, threshold_of

__all__ = ["train_folder"]

_log = logging.getLogger(__name__)
_PRECISIONS = ("w1a1", "w1a2")


def train_folder(
    source: Path,
    output: Path,
    *,
    precision: str = "w1a1",
    epochs: int | None = None,
    seed: int = 0,
    size: tuple[int, int] = (28, 28),
    progress: bool = True,
    mirror: bool = False,
) -> Path:
    """Train an LFC network (832-1024-1024-1024-64) on pictures and write its directory.

    Parameters
    ----------
    source : path
        A folder with one folder of pictures for each class (its name is the class's), or an .npz file with
        pictures (n, H, W), (n, H, W, 3) or (n, H*W) and labels (n,): `x` and `y`, `images` and `labels`, or
        `x_train`, `y_train`, `x_test`, `y_test`; optionally `classes`, the names. 2 to 64 classes.
    output : path
        Directory to write; must not exist. `Classifier(output)` loads it.
    precision : {"w1a1", "w1a2"}
        Binary or ternary activations: which overlay it is for.
    epochs : int, optional
        Passes over the pictures; by default 20 to 100, fewer for many pictures.
    seed : int
        Of everything random: the same seed gives the same network on the same machine.
    size : (height, width)
        What the network sees. The overlay takes 832 bits: one a pixel, or chosen ones.
    progress : bool
        Show a progress bar where tqdm is installed and a terminal is there.
    mirror : bool
        Pictures and their mirror images are the same class.

    Returns
    -------
    Path of the directory. `provenance.accuracy.test` in its network.json is the accuracy on pictures that
    were set apart (15 % of each class, or the test part of the .npz).

    Raises
    ------
    InputError
        Source missing, class folders missing, empty or too many, a picture that cannot be read (named),
        arrays that do not fit each other.
    DescriptorError
        `output` exists, or its name cannot be a network's.
    MissingDependencyError
        PyTorch is not installed.
    """
    asked = Arguments("lfc", source, output, precision, epochs, seed, size, mirror)
    asked = check_arguments(asked, _PRECISIONS)
    from .._torch import torch
    from .augment import Augment
    from .loop import Recipe
    from .pipeline import build

    spec = InputSpec(asked.size, 1, "as-is", None, Encoding("threshold", threshold=128))
    data, test = read_parted(asked.source, spec, asked.seed)
    # With few pictures all of them train, and the level borders are chosen on distorted copies: on the
    # training pictures themselves the sums are surer than they will ever be again.
    few = len(data.labels) < ENOUGH
    changes = Augment(shift=1.5, rotate=10, scale=0.1, shear=0.1, elastic=0.7, mirror=asked.mirror, edge=True)
    if few:
        training, choosing = data, _distorted(data, changes, asked.seed)
    else:
        training, choosing = split_by_class(data, 0.1, asked.seed + 1)
    # Learning the input bits pays with many pictures only.
    encoding = str(threshold_of(training.pictures)) if few else "learned"
    recipe = Recipe(
        asked.precision == "w1a2",
        asked.epochs or int(min(100, max(20, 1000000 // len(training.labels)))),
        asked.seed,
        batch=int(min(256, max(16, len(training.labels) // 13))),
        rate=0.03 if few else 0.015,
        versus_rest=0.3,
        augment=changes,
    )
    _log.info(
        "%d classes: %d pictures to train, %d to test",
        len(data.classes),
        len(training.labels),
        len(test.labels),
    )
    name = asked.output.name
    outcome = build(
        name,
        f"{name}, {asked.precision.upper()}",
        f"Trained on {len(training.labels)} pictures of {len(data.classes)} classes from {asked.name}.",
        training,
        choosing,
        test,
        recipe,
        encoding,
        None,
        "as-is",
        {**asked.provenance(), "notes": f"{recipe.epochs} epochs, {torch.get_num_threads()} threads"},
        progress=progress,
    )
    if few:  # measured on the distorted copies: no accuracy that anybody would want to see
        del outcome.network.provenance["accuracy"]["validation"]
    return save_network(outcome.network, asked.output)


def _distorted(data: DataSet, changes: Any, seed: int, copies: int = 4) -> DataSet:
    """`copies` distorted versions of every picture."""
    from .._torch import torch
    from .augment import distort

    torch.manual_seed(seed)
    many = torch.from_numpy(np.repeat(data.pictures, copies, axis=0)).float()
    pictures = distort(many, changes).round().clamp(0, 255).to(torch.uint8).numpy()
    return DataSet(pictures, np.repeat(data.labels, copies), data.classes)
