"""From a trained DoReFa network to a checked one of our format, with its accuracies."""

from __future__ import annotations

import logging
from typing import Any, Callable, NamedTuple

import numpy as np

from ...contracts.network import Crop, Decode, Encoding, InputSpec, Network
from ...pictures.cropping import middle_part
from ..data import DataSet
from ..decode import temperature
from .export import check_equal, to_layers
from .integer import classes_of
from .model import DoReFa, evaluate_logits
from .recipes import Recipe

__all__ = ["SETS", "Finished", "TrainedOn", "finish", "finish_float", "softmax_scale"]

_log = logging.getLogger(__name__)
OVERLAY = "qnn-mo-w1a2"


class TrainedOn(NamedTuple):
    """Title and licence line of a data set, and the side that its pictures are brought to before the crop."""

    title: str
    licence: str
    side: int


class Finished(NamedTuple):
    """A network, and the trained network's classes int64 (N,) of the test pictures (None without them)."""

    network: Network
    trained: np.ndarray | None


SETS = {
    "imagenette": TrainedOn(
        "Imagenette",
        "parameters: BSD-3-Clause; trained on Imagenette by fast.ai (its repository is Apache-2.0), whose photographs "
        "are ImageNet's: for non-commercial research and education, copyright with their owners; none is included",
        72,
    ),
    "cifar10": TrainedOn(
        "CIFAR-10",
        "parameters: BSD-3-Clause; trained on CIFAR-10 (A. Krizhevsky, Learning Multiple Layers of Features from Tiny "
        "Images, 2009), published for research without a stated licence, collected from the web; no picture is "
        "included",
        32,
    ),
}


def softmax_scale(logits: np.ndarray, labels: np.ndarray) -> float:
    """Scale of the outputs for probabilities, 0.01 to 10."""
    return round(10 * temperature(10 * logits, labels), 6)


def finish(
    model: DoReFa,
    name: str,
    recipe: Recipe,
    training: DataSet,
    held_out: DataSet,
    test: DataSet | None,
    provenance: dict[str, Any],
    report: Callable[[str], None] = _log.info,
    about: TrainedOn | None = None,
) -> Finished:
    """Fold, compare with the trained network, and measure; the test set, if any, is looked at once.

    `about` stands for the entry of `SETS` where the pictures are a user's own.
    """
    known, size = SETS[recipe.dataset] if about is None else about, recipe.topology.size
    layers = to_layers(model)
    accuracy: dict[str, Any] = {}
    scale, answers = 1.0, None
    for key, data in (("validation", held_out), ("test", test)):
        if data is None:
            continue
        pictures = middle_part(data.pictures, (size, size))
        check = check_equal(model, layers, pictures)
        report(f"{key}: integer network against trained network: {check}")
        accuracy[key] = data.accuracy(classes_of(check.logits))
        answers = classes_of(check.trained)
        report(
            f"{key} {100 * accuracy[key]:.2f} % of {len(data.labels)} (the trained network "
            f"{100 * data.accuracy(answers):.2f} %)"
        )
        accuracy["images"] = len(data.labels)
        if data is held_out:
            scale = softmax_scale(check.logits, data.labels)
    notes = (f"{recipe.epochs + recipe.second} epochs on {len(training.labels)} of the training pictures, "
             f"{len(held_out.labels)} held out for every choice; test pictures used once.")
    provenance = dict(provenance, dataset=known.title, licence=known.licence, notes=notes, accuracy=accuracy)
    shape = "-".join(
        "{}{}".format(block.outputs, "p" if block.pool else "") for block in recipe.topology.blocks
    )
    network = Network(
        name,
        f"{known.title} on the QNN overlay, W1A2",
        f"{known.title} for the published QNN overlay: {size} x {size} RGB, {shape} channels (p: maximum), 1-bit "
        "weights, 2-bit codes; "
        "the first and the last layer in software.",
        (OVERLAY,),
        InputSpec((size, size), 3, "as-is", None, Encoding("pixels"), Crop(known.side)),
        layers,
        Decode("largest-sum", 1, scale),
        held_out.classes,
        provenance,
    )
    return Finished(network, answers if test is not None else None)


def finish_float(
    model: DoReFa,
    recipe: Recipe,
    held_out: DataSet,
    test: DataSet | None,
    report: Callable[[str], None] = _log.info,
) -> None:
    """Report the accuracies of the float twin."""
    size = recipe.topology.size
    for key, data in (("validation", held_out), ("test", test)):
        if data is not None:
            found = classes_of(evaluate_logits(model, middle_part(data.pictures, (size, size))))
            report(f"{key} {100 * data.accuracy(found):.2f} % of {len(data.labels)}, float")
