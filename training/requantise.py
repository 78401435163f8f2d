#!/usr/bin/env python3
"""Make one of the DoReFa networks with 4-bit ends: `python training/requantise.py dorefa-w1a2-ends4-imagenette`.

The first and the last layer of a shipped network get weights of 4 bits; nothing is trained. Several samples of
training pictures are tried, and the one is kept whose network answers most held-out pictures right, moved a little and
mirrored too. Pictures come from $QNN_PYNQ_DATA or from the cache. A run that was stopped goes on behind the last
sample that was tried.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "training")]

import numpy as np  # noqa: E402
from dorefa import write_classes  # noqa: E402
from make_selftest import make_selftest  # noqa: E402

from qnn_pynq.networks import Decode, Network, load_network, save_network  # noqa: E402
from qnn_pynq.networks.rows import compile_layers  # noqa: E402
from qnn_pynq.pictures.cropping import middle_part  # noqa: E402
from qnn_pynq.train._torch import torch  # noqa: E402
from qnn_pynq.train.data import DataSet, split  # noqa: E402
from qnn_pynq.train.dorefa.data import load_colour  # noqa: E402
from qnn_pynq.train.dorefa.integer import classes_of, integer_codes  # noqa: E402
from qnn_pynq.train.dorefa.pipeline import SETS, softmax_scale  # noqa: E402
from qnn_pynq.train.dorefa.recipes import ENDS, ENDS_BITS, RECIPES  # noqa: E402
from qnn_pynq.train.dorefa.requantise import requantised  # noqa: E402

SAMPLE = 1000  # training pictures of a try
BATCH = 200
OVERLAYS = ("engine-z7020", "qnn-mo-w1a2")  # all of it on the first, the middle layers on the second


def views(pictures: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """The middle part and four others where the pictures have a margin, each of them and its mirror image."""
    margin = min(pictures.shape[1] - size[0], pictures.shape[2] - size[1]) // 2
    step = min(2, margin)
    moves = [(0, 0)] + ([(y, x) for y in (-step, step) for x in (-step, step)] if step else [])
    found = []
    for y, x in moves:
        part = middle_part(np.roll(pictures, (y, x), axis=(1, 2)), size)
        found += [np.ascontiguousarray(part), np.ascontiguousarray(part[:, :, ::-1])]
    return found


def answers(network: Network, pictures: np.ndarray) -> np.ndarray:
    """Classes by the kernels, for choices."""
    rows, found = compile_layers(network.layers, network.signals), []
    for start in range(0, len(pictures), BATCH):
        values = pictures[start : start + BATCH]
        for row in rows:
            values = row.kernel.run(values)
        found.append(values.argmax(axis=1))
    return np.concatenate(found)


def logits(network: Network, pictures: np.ndarray) -> np.ndarray:
    """Outputs by the integers of the training framework, for the figures that are told."""
    parts = [pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH)]
    return np.concatenate([integer_codes(network.layers, part)[-1] for part in parts])


def best_try(
    begin: Network, name: str, bits: int, tries: int, training: DataSet, held_out: DataSet, work: Path, report: Any
) -> tuple[Network, int]:
    """The network of the best sample, and the number of that."""
    seen = views(held_out.pictures, begin.input.size)

    def judge(network: Network) -> float:
        return float(np.mean([np.mean(answers(network, part) == held_out.labels) for part in seen]))

    report("%s: %.2f %% of %d views of held-out pictures", begin.name, 100 * judge(begin), len(seen) * len(seen[0]))
    best: tuple[float, int, Network] | None = None
    for number in range(tries):
        folder = work / f"try-{bits}-bits-{number}"
        if not folder.is_dir():
            chosen = np.random.RandomState(number).permutation(len(training.labels))[:SAMPLE]
            pictures = middle_part(training.pictures[np.sort(chosen)], begin.input.size)
            made = replace(begin, name=name, layers=requantised(begin.layers, pictures, bits),
                           selftest=None, path=None)
            save_network(made, folder)
        network = load_network(folder)
        right = judge(network)
        report("sample %d: %.2f %% of the views", number, 100 * right)
        if best is None or right > best[0]:
            best = (right, number, network)
    assert best is not None
    return best[2], best[1]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(ENDS))
    parser.add_argument("--tries", type=int, default=12, help="samples of training pictures (default: 12)")
    parser.add_argument("--bits", type=int, default=ENDS_BITS, help="other widths, for trials; test set left alone")
    parser.add_argument("--work", type=Path, help="tried networks and log (default: build/training/NAME)")
    parser.add_argument("--output", type=Path, help="network folder (default: params/NAME; log to training/logs)")
    parser.add_argument("--no-test", action="store_true", help="leave the test set alone: for trials")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    options = parser.parse_args(arguments)
    if options.tries < 1 or not 2 <= options.bits <= 8:
        parser.error(f"--tries {options.tries}, --bits {options.bits}: expected 1 or more, and 2 to 8")
    torch.set_num_threads(options.threads)
    name, recipe = options.name, RECIPES[ENDS[options.name]]
    work = options.work or ROOT / "build" / "training" / name
    work.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=[logging.StreamHandler(), logging.FileHandler(str(work / "log.txt"))],
    )
    report = logging.getLogger("training").info
    report("%s: %s with ends of %d bits, %d tries", name, ENDS[name], options.bits, options.tries)
    begin = load_network(ROOT / "params" / ENDS[name])
    training, held_out = split(load_colour(recipe.dataset, "train", work.parent), recipe.held_out, recipe.seed)
    network, number = best_try(begin, name, options.bits, options.tries, training, held_out, work, report)
    report("sample %d is kept", number)
    if options.bits != ENDS_BITS:
        return 0
    accuracy: dict[str, Any] = {}
    size, scale, said = begin.input.size, 1.0, None
    test = None if options.no_test else load_colour(recipe.dataset, "test", work.parent)
    for key, data in (("validation", held_out), ("test", test)):
        if data is None:
            continue
        found = logits(network, middle_part(data.pictures, size))
        said = classes_of(found)
        accuracy[key] = data.accuracy(said)
        before = begin.provenance["accuracy"][key]
        report("%s %.2f %% of %d (%s: %.2f %%)", key, 100 * accuracy[key], len(said), begin.name, 100 * before)
        accuracy["images"] = len(said)
        if data is held_out:
            scale = softmax_scale(found, data.labels)
    title = SETS[recipe.dataset].title
    network = replace(
        network,
        title=f"{title} on our engine, W1A2, {ENDS_BITS}-bit ends",
        description=begin.description.split("; ")[0].replace("the published QNN overlay", "our engine")
        + f"; the first and the last layer have {ENDS_BITS}-bit weights, for the logic as well.",
        overlays=OVERLAYS,
        decode=Decode("largest-sum", 1, scale),
        provenance={
            "command": f"python training/requantise.py {name} --tries {options.tries}",
            "seed": number,
            "date": time.strftime("%Y-%m-%d"),
            "dataset": title,
            "licence": SETS[recipe.dataset].licence,
            "notes": f"{begin.name} with its first and its last layer rounded to {ENDS_BITS} bits, not trained: the "
                     f"best of {options.tries} samples of {SAMPLE} training pictures, by {len(held_out.labels)} held "
                     "out; test pictures used once.",
            "accuracy": accuracy,
        },
    )
    target = save_network(network, options.output or ROOT / "params" / name, overwrite=True)
    make_selftest(target)
    report("written: %s", target.name)
    if test is not None and said is not None and options.output is None:
        copyfile(str(work / "log.txt"), str(ROOT / "training" / "logs" / (name + ".log")))
        write_classes(ROOT / "training" / "logs" / (name + ".classes.txt"), said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
