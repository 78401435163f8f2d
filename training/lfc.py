#!/usr/bin/env python3
"""Make one of the shipped LFC networks: `python training/lfc.py lfc-w1a1-mnist` trains.

A network that ends in sums (`lfc-w1a1-sums-mnist`) is made of the shipped one with levels, without a training.
Data comes from $QNN_PYNQ_DATA or from the cache, or is downloaded with a digest check. The run can be
stopped and started again: it goes on from the last checkpoint under build/training/.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from make_selftest import make_selftest  # noqa: E402

from qnn_pynq.datasets.public import DATASETS  # noqa: E402
from qnn_pynq.networks import Network, load_network, save_network  # noqa: E402
from qnn_pynq.train._torch import torch  # noqa: E402
from qnn_pynq.train.data import DataSet, load_dataset, split  # noqa: E402
from qnn_pynq.train.lfc.pipeline import build  # noqa: E402
from qnn_pynq.train.lfc.recipes import RECIPES, SUMS, NetworkRecipe  # noqa: E402
from qnn_pynq.train.lfc.sums import with_sums  # noqa: E402

LICENCE = {
    "mnist": "parameters: BSD-3-Clause; trained on MNIST (LeCun, Cortes, Burges; CC BY-SA 3.0)",
    "fashion-mnist": "parameters: BSD-3-Clause; trained on Fashion-MNIST (Zalando SE, MIT)",
}


def _provenance(name: str, entry: NetworkRecipe) -> dict[str, Any]:
    return {
        "dataset": DATASETS[entry.dataset].title,
        "command": f"python training/lfc.py {name}",
        "seed": entry.recipe.seed,
        "date": time.strftime("%Y-%m-%d"),
        "licence": LICENCE[entry.dataset],
    }


def _trained(
    name: str, entry: NetworkRecipe, training: DataSet, held_out: DataSet, test: DataSet | None, work: Path, report: Any
) -> Network:
    report("%s: %s", name, entry)
    bits = "W1A2 (binary weights, activations -1, 0, +1)" if entry.recipe.ternary else "W1A1 (binary)"
    title = DATASETS[entry.dataset].title
    return build(
        name,
        f"{title} on the LFC overlay, {bits[:4]}",
        f"{title} for the published LFC overlay: 832-1024-1024-1024-64, {bits}; 10 classes, 6 levels a class.",
        training,
        held_out,
        test,
        entry.recipe,
        entry.encoding,
        entry.framing,
        "light-on-dark",
        {
            **_provenance(name, entry),
            "notes": "{} epochs on {} of the training pictures, {} held out for every choice; test pictures "
            "used once. Input encoding: {}.".format(
                entry.recipe.epochs + (entry.then.epochs if entry.then else 0),
                len(training.labels),
                len(held_out.labels),
                "832 learned (pixel, threshold) pairs"
                if entry.encoding == "learned"
                else "threshold " + entry.encoding,
            ),
        },
        work,
        report,
        sys.stderr.isatty(),
        entry.then,
    ).network


def _sums(
    name: str, entry: NetworkRecipe, training: DataSet, held_out: DataSet, test: DataSet | None, work: Path, report: Any
) -> Network:
    begin = SUMS[name]
    report("%s: the sums of %s", name, begin)
    notes = (f"The last layer of {begin} without its levels, not trained; {len(held_out.labels)} of the training "
             "pictures held out for the scale of the probabilities; test pictures used once.")
    provenance = {**_provenance(name, entry), "notes": notes}
    return with_sums(load_network(ROOT / "params" / begin), name, held_out, test, provenance, report)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted([*RECIPES, *SUMS]))
    parser.add_argument("--output", type=Path, help="network folder (default: params/NAME)")
    parser.add_argument("--work", type=Path, help="checkpoints (default: build/training/NAME)")
    parser.add_argument("--log", type=Path, help="log file, appended (default: in the checkpoint folder)")
    parser.add_argument("--no-test", action="store_true", help="leave the test set alone: for trials")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    name = options.name
    entry = RECIPES[SUMS.get(name, name)]
    work = options.work or ROOT / "build" / "training" / name
    work.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=[logging.StreamHandler(), logging.FileHandler(str(options.log or work / "log.txt"))],
    )
    report = logging.getLogger("training").info
    training, held_out = split(load_dataset(entry.dataset, "train"), entry.held_out, entry.recipe.seed)
    test = None if options.no_test else load_dataset(entry.dataset, "test")
    make = _sums if name in SUMS else _trained
    network = make(name, entry, training, held_out, test, work, report)
    target = save_network(network, options.output or ROOT / "params" / name, overwrite=True)
    make_selftest(target)
    report("written: %s", target.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
