"""Train on a user's own pictures: folder or .npz in, network directory out."""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from ...contracts.network import Encoding, InputSpec
from ...errors import DescriptorError, InputError
from ...files.fields import plain_name
from ...networks.store import save_network
from ..data import DataSet
from ..source import read_source, split_by_class, threshold_of

__all__ = ["check_arguments", "text_name", "train_folder"]

_log = logging.getLogger(__name__)
_ENOUGH = 2000  # pictures from which on learning the input bits pays, and some can be set apart to choose levels
_PRECISIONS = ("w1a1", "w1a2")
_SEEDS = 1 << 32


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
    source, output = Path(source), Path(output)
    check_arguments(precision, _PRECISIONS, epochs, size, output, seed)
    seed = int(seed)
    from .._torch import torch
    from .augment import Augment
    from .loop import Recipe
    from .pipeline import build

    spec = InputSpec((int(size[0]), int(size[1])), 1, "as-is", None, Encoding("threshold", threshold=128))
    data, test = read_source(source, spec)
    if test is None:
        data, test = split_by_class(data, 0.15, seed)
    # With few pictures all of them train, and the level borders are chosen on distorted copies: on the
    # training pictures themselves the sums are surer than they will ever be again.
    few = len(data.labels) < _ENOUGH
    changes = Augment(shift=1.5, rotate=10, scale=0.1, shear=0.1, elastic=0.7, mirror=mirror, edge=True)
    if few:
        training, choosing = data, _distorted(data, changes, seed)
    else:
        training, choosing = split_by_class(data, 0.1, seed + 1)
    encoding = str(threshold_of(training.pictures)) if few else "learned"
    recipe = Recipe(
        precision == "w1a2",
        epochs or int(min(100, max(20, 1000000 // len(training.labels)))),
        seed,
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
    threads, name = torch.get_num_threads(), text_name(source)
    outcome = build(
        output.name,
        "{}, {}".format(output.name, precision.upper()),
        "Trained on {} pictures of {} classes from {}.".format(len(training.labels), len(data.classes), name),
        training,
        choosing,
        test,
        recipe,
        encoding,
        None,
        "as-is",
        {
            "dataset": name,
            "command": "qnn-pynq train lfc {} -o {} --precision {} --seed {}{}".format(
                name, output.name, precision, seed, " --epochs {}".format(epochs) if epochs else ""
            ),
            "seed": int(seed),
            "date": time.strftime("%Y-%m-%d"),
            "notes": "{} epochs, {} threads".format(recipe.epochs, threads),
        },
        progress=progress,
    )
    if few:  # measured on the distorted copies: no accuracy that anybody would want to see
        del outcome.network.provenance["accuracy"]["validation"]
    return save_network(outcome.network, output)


def _distorted(data: DataSet, changes: Any, seed: int, copies: int = 4) -> DataSet:
    """`copies` distorted versions of every picture."""
    from .._torch import torch
    from .augment import distort

    torch.manual_seed(seed)
    many = torch.from_numpy(np.repeat(data.pictures, copies, axis=0)).float()
    pictures = distort(many, changes).round().clamp(0, 255).to(torch.uint8).numpy()
    return DataSet(pictures, np.repeat(data.labels, copies), data.classes)


def text_name(source: Path) -> str:
    """Name of the pictures' folder or file, for provenance: as text that a file can hold."""
    return source.name.encode("utf-8", "replace").decode()


def check_arguments(
    precision: str, allowed: Sequence[str], epochs: Any, size: Any, output: Path, seed: Any = 0
) -> None:
    """What can be refused before the pictures are read."""
    if precision not in allowed:
        raise InputError("precision {!r}: expected {}".format(precision, " or ".join(allowed)))
    if epochs is not None and (isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1):
        raise InputError("epochs {!r}: expected a whole number above 0".format(epochs))
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not whole or not -_SEEDS < seed < _SEEDS:
        raise InputError("seed {!r}: expected a whole number above -2**32 and below 2**32".format(seed))
    good = isinstance(size, (tuple, list)) and len(size) == 2
    if not good or not all(isinstance(s, (int, np.integer)) and 1 <= s <= 128 for s in size):
        raise InputError("size {!r}: expected (height, width) of 1 to 128 pixels".format(size))
    if not plain_name(output.name):
        raise DescriptorError(
            "{!r} cannot be a network's name: use letters, digits, '.', '_' and '-'".format(output.name)
        )
    if output.exists() or output.is_symlink():
        raise DescriptorError("{} is there already: use another name".format(output))
    parent = output.absolute().parent
    while not parent.exists():
        parent = parent.parent
    try:
        with tempfile.TemporaryDirectory(prefix="." + output.name, dir=str(parent)):
            pass
    except OSError as error:
        text = "{} cannot be written, no folder can be made in {} ({}): use one that you may write to"
        raise DescriptorError(text.format(output, parent, error.strerror or error)) from error
