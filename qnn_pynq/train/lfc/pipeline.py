"""From data to a checked network: encoding, training, level borders, folding, proof, accuracy."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, NamedTuple

import numpy as np

from ...contracts.network import Decode, Framing, Network
from ...files.replacing import replacing
from ...networks.dense import Dense
from ..data import DataSet
from ..decode import choose_levels, levels_for, temperature
from .encoding import INPUTS, Table, encode, grid, plain
from .export import Check, check_equal, input_spec, to_network
from .integer import evaluate, integer_layers
from .loop import Recipe, device, evaluate_scores, train
from .table import learn_table
from .teacher import soft_labels

__all__ = ["Outcome", "build", "load_table", "probability_scale"]

_log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """A finished network and what was measured."""

    network: Network
    check: Check
    held_out: float
    test: float | None


def load_table(kind: str, data: DataSet, seed: int, cache: Path | None, report: Callable[[str], None]) -> Table:
    """Encoding by its name: a number (one threshold) or "learned" (kept in `cache` for a resumed run)."""
    if kind != "learned":
        height, width = data.pictures.shape[1:]
        many = height * width > INPUTS
        return grid(int(kind), height, width, INPUTS) if many else plain(int(kind), height * width)
    if cache is not None and cache.is_file():
        with np.load(str(cache), allow_pickle=False) as found:
            return Table(found["pixels"], found["thresholds"])
    table = learn_table(data, seed, INPUTS, report)
    if cache is not None:
        with replacing(cache) as file:
            np.savez(file, pixels=table.pixels, thresholds=table.thresholds)
    return table


def probability_scale(network: Network, table: Table, data: DataSet) -> float:
    """Scale of the margins for softmax, fitted on held-out pictures."""
    *_, (sums, _) = integer_layers(network, encode(data.pictures, table))
    last = network.layers[-1]
    assert isinstance(last, Dense) and last.thresholds is not None
    first = last.thresholds
    classes = len(network.classes)
    return temperature((sums[:, :classes] - first[:classes, 0]).astype(np.float64), data.labels)


def build(
    name: str,
    title: str,
    description: str,
    training: DataSet,
    held_out: DataSet,
    test: DataSet | None,
    recipe: Recipe,
    encoding: str,
    framing: Framing | None,
    polarity: str,
    provenance: dict[str, Any],
    work: Path | None = None,
    report: Callable[[str], None] = _log.info,
    progress: bool = False,
    then: Recipe | None = None,
) -> Outcome:
    """Train one network and check it; the test set, if any, is looked at once, at the end.

    Parameters
    ----------
    then
        A second training that goes on from the weights of the first.
    work
        Folder for checkpoints; a run that was stopped goes on from there.
    provenance
        Goes into the network, completed with the measured accuracies.
    """
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
    table = load_table(encoding, training, recipe.seed, work / "table.npz" if work else None, report)
    teacher = None
    if recipe.distill:
        teacher = soft_labels(
            training, held_out, recipe.seed, device(), work / "teacher.npy" if work else None, report=report
        )
    checkpoint = work / "checkpoint.pt" if work else None
    model = train(training, held_out, table, recipe, checkpoint, report, progress=progress, teacher=teacher)
    if then is not None:
        checkpoint = work / "second.pt" if work else None
        model = train(
            training, held_out, table, then, checkpoint, report, progress=progress, teacher=teacher, start=model
        )
    scores = evaluate_scores(model, held_out, table) + model.bias.detach().cpu().double().numpy()
    levels = levels_for(len(training.classes))
    borders, decoded = choose_levels(scores, held_out.labels, levels)
    plain_best = float(np.mean(scores.argmax(axis=1) == held_out.labels))
    report(
        f"held out: {100 * decoded:.2f} % by the {levels} levels, {100 * plain_best:.2f} % by the largest sum"
    )
    size = (training.pictures.shape[1], training.pictures.shape[2])
    spec = input_spec(table, size, polarity, framing)
    network = to_network(model, borders, spec, training.classes, name, title, description, 1.0, provenance)
    network = _with_scale(network, probability_scale(network, table, held_out))
    shown = test if test is not None else held_out
    check = check_equal(model, network, borders, shown.pictures)
    report(f"integer network against trained network: {check}")
    accuracy: dict[str, Any] = {"validation": held_out.accuracy(evaluate(network, held_out.pictures))}
    report("validation {:.2f} % of {}".format(100 * accuracy["validation"], len(held_out.labels)))
    result = None
    if test is not None:
        result = accuracy["test"] = test.accuracy(evaluate(network, test.pictures))
        report(f"test {100 * result:.2f} % of {len(test.labels)}")
    accuracy["images"] = len(shown.labels)
    provenance["accuracy"] = accuracy
    return Outcome(network, check, accuracy["validation"], result)


def _with_scale(network: Network, scale: float) -> Network:
    return replace(network, decode=Decode("highest-bit", network.decode.levels, round(scale, 6)))
