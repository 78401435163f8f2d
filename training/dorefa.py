#!/usr/bin/env python3
"""Train one of the shipped DoReFa networks: `python training/dorefa.py dorefa-w1a2-imagenette`.

Pictures come from $QNN_PYNQ_DATA or from the cache. The run can be stopped and started again: it goes on
from the last checkpoint under build/training/. `--float` trains the same topology in float, to compare.
"""

from __future__ import annotations

import argparse
import logging
import sys
import textwrap
import time
from pathlib import Path
from shutil import copyfile
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from qnn_pynq.networks import save_network  # noqa: E402
from qnn_pynq.train._torch import torch  # noqa: E402
from qnn_pynq.train.data import DataSet, split  # noqa: E402
from qnn_pynq.train.dorefa.data import load_colour  # noqa: E402
from qnn_pynq.train.dorefa.loop import train  # noqa: E402
from qnn_pynq.train.dorefa.pipeline import finish, finish_float  # noqa: E402
from qnn_pynq.train.dorefa.recipes import RECIPES, Recipe  # noqa: E402


def _second(model: Any, recipe: Recipe, floating: bool, data: tuple[DataSet, DataSet], work: Path, report: Any) -> Any:
    """The training that goes on from `model`; the float twin, its teacher, is trained first where it is missing."""
    training, held_out = data
    teacher = None
    if recipe.distill and not floating:
        beside = work.with_name(work.name + "-float")
        beside.mkdir(parents=True, exist_ok=True)
        report("teacher: the float twin")
        teacher = train(training, held_out, recipe, True, beside / "checkpoint.pt", report)
        teacher.quick = True
    report("second training")
    recipe = recipe._replace(epochs=recipe.second, rate=recipe.second_rate, seed=recipe.seed + 1)
    return train(training, held_out, recipe, floating, work / "second.pt", report, teacher=teacher, start=model)


def write_classes(path: Path, classes: np.ndarray) -> None:
    """What the trained network says of the test pictures, in their order: a digit each."""
    path.write_text("\n".join(textwrap.wrap("".join(str(int(c)) for c in classes), 100)) + "\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--float", action="store_true", dest="floating", help="the float twin, not exported")
    parser.add_argument("--epochs", type=int, help="length of the whole schedule (default: the recipe's)")
    parser.add_argument("--second", type=int, help="length of the second schedule, 0 for none (default: the recipe's)")
    parser.add_argument("--work", type=Path, help="checkpoints and log (default: build/training/NAME)")
    parser.add_argument("--output", type=Path, help="network folder (default: params/NAME; log to training/logs)")
    parser.add_argument("--no-test", action="store_true", help="leave the test set alone: for trials")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    name = options.name + ("-float" if options.floating else "")
    recipe = RECIPES[options.name]
    if options.epochs:
        recipe = recipe._replace(epochs=options.epochs)
    if options.second is not None:
        recipe = recipe._replace(second=options.second)
    work = options.work or ROOT / "build" / "training" / name
    work.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=[logging.StreamHandler(), logging.FileHandler(str(work / "log.txt"))],
    )
    report = logging.getLogger("training").info
    report("%s: %s", name, recipe)
    training, held_out = split(load_colour(recipe.dataset, "train", work.parent), recipe.held_out, recipe.seed)
    first = work / "checkpoint.pt"
    model = train(training, held_out, recipe, options.floating, first, report)
    if recipe.second:
        model = _second(model, recipe, options.floating, (training, held_out), work, report)
    test = None if options.no_test else load_colour(recipe.dataset, "test", work.parent)
    if options.floating:
        finish_float(model, recipe, held_out, test, report)
    else:
        command = f"python training/dorefa.py {options.name} --epochs {recipe.epochs} --second {recipe.second}"
        provenance = {"command": command, "seed": recipe.seed, "date": time.strftime("%Y-%m-%d")}
        finished = finish(model, options.name, recipe, training, held_out, test, provenance, report)
        if finished.trained is not None:
            write_classes(work / "classes.txt", finished.trained)
        target = save_network(finished.network, options.output or ROOT / "params" / options.name, overwrite=True)
        report("written: %s", target.name)
    if not options.no_test and options.output is None:
        copyfile(str(work / "log.txt"), str(ROOT / "training" / "logs" / (name + ".log")))
        if not options.floating:
            copyfile(str(work / "classes.txt"), str(ROOT / "training" / "logs" / (name + ".classes.txt")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
