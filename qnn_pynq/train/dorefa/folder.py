"""Train a DoReFa network on a user's own colour pictures: folder or .npz in, network directory out."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

import numpy as np

from ...catalogue import cache_folder
from ...contracts.network import Crop, Encoding, InputSpec
from ...errors import FetchError
from ...networks.store import save_network
from ..arguments import Arguments, check_arguments
from ..data import DataSet
from ..source import ENOUGH, read_parted, split_by_class
from .recipes import Recipe, topology_for

__all__ = ["train_dorefa_folder"]

_log = logging.getLogger(__name__)
_SIDES = (16, 128)
_MOST = 1000  # classes; the tail is in software


def train_dorefa_folder(
    source: Path,
    output: Path,
    *,
    precision: str = "w1a2",
    epochs: int | None = None,
    seed: int = 0,
    size: tuple[int, int] = (64, 64),
    progress: bool = True,
    mirror: bool = False,
) -> Path:
    """Train a convolutional network on pictures and write its directory.

    Seven convolutions of 64 to 256 channels, 1-bit weights and 2-bit codes behind the first, one dense layer;
    the topology of our Imagenette network, or for small pictures that of our CIFAR-10 network. A run that was
    stopped goes on from its last epoch when it is started again with the same pictures and settings.

    Parameters
    ----------
    source : path
        A folder with one folder of pictures for each class (its name is the class's), or an .npz file with
        pictures (n, H, W, 3) or (n, H, W) and labels (n,), as for `train_folder`. 2 to 1000 classes.
    output : path
        Directory to write; must not exist. `Classifier(output)` loads it.
    precision : {"w1a2"}
    epochs : int, optional
        Passes over the pictures; by default 30 to 120, fewer for many pictures.
    seed : int
        Of everything random: the same seed gives the same network on the same machine.
    size : (side, side)
        What the network sees, 16 to 128 pixels: a square from the middle of the picture.
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
    InputError, DescriptorError, MissingDependencyError
        As `train_folder`.
    FetchError
        The checkpoint cannot be written into the cache.
    """
    asked = Arguments("dorefa", source, output, precision, epochs, seed, size, mirror)
    asked = check_arguments(asked, ("w1a2",), _SIDES, square=True)
    side = asked.size[0]
    from .loop import train
    from .pipeline import TrainedOn, finish

    topology = topology_for(side)
    # Large pictures keep a margin, so that crops may move; small ones are moved over an edge of 0.
    wide = side + 2 * (side // 16) if topology.blocks[0].stride == 2 else side
    reach = (0.67 * wide, float(wide)) if wide > side else (0.875 * side, 1.125 * side)
    data, _ = read_parted(asked.source, _spec(wide, wide), asked.seed, _MOST)
    # Pictures as the classifier will see them: one that has the network's size already is not resized.
    seen, shown = read_parted(asked.source, _spec(side, wide), asked.seed, _MOST)
    choosing = shown
    if len(data.labels) >= ENOUGH:
        data, _ = split_by_class(data, 0.1, asked.seed + 1)
        _, choosing = split_by_class(seen, 0.1, asked.seed + 1)
    count = len(data.labels)
    recipe = Recipe(
        asked.name,
        topology,
        asked.epochs or int(min(120, max(30, 400000 // count))),
        len(choosing.labels),
        asked.seed,
        batch=int(min(64, max(2, count // 8))),
        crop=reach,
        mirror=asked.mirror,
    )
    _log.info("%d classes: %d pictures to train, %d to test", len(data.classes), count, len(shown.labels))
    work = _work(data, recipe)
    model = train(data, choosing, recipe, checkpoint=work / "checkpoint.pt", progress=progress)
    finished = finish(
        model,
        asked.output.name,
        recipe,
        data,
        choosing,
        None if choosing is shown else shown,
        asked.provenance(),
        about=TrainedOn(asked.output.name, "", wide),
    )
    known = finished.network.provenance
    del known["licence"]  # the user's to say
    known.update(dataset=asked.name, notes=f"{recipe.epochs} epochs, {len(shown.labels)} pictures set apart")
    if choosing is shown:
        known["accuracy"] = {"test": known["accuracy"]["validation"], "images": len(shown.labels)}
    saved = save_network(finished.network, asked.output)
    shutil.rmtree(str(work), ignore_errors=True)
    return saved


def _spec(side: int, wide: int) -> InputSpec:
    return InputSpec((side, side), 3, "as-is", None, Encoding("pixels"), Crop(wide))


def _work(data: DataSet, recipe: Recipe) -> Path:
    """Folder of the checkpoint: the same for the same pictures and settings."""
    key = hashlib.sha256(repr((recipe, data.classes)).encode())
    for array in (data.pictures, data.labels):
        key.update(np.ascontiguousarray(array).data)
    folder = cache_folder() / "training" / key.hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = "the checkpoint's folder {} cannot be made: {}; set QNN_PYNQ_CACHE to a folder that you may write to"
        raise FetchError(text.format(folder, error.strerror or error)) from error
    return folder
