#!/usr/bin/env python3
"""Short training with other settings: `python training/trial.py fashion-mnist --encoding 60`.

Prints held-out accuracies only; the test set stays untouched. Encodings: a number (one threshold), "bayer"
(ordered dither, 16 thresholds), "median" (per pixel, of its lit values), "learned" (832 pairs).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from qnn_pynq.datasets.public import DATASETS  # noqa: E402
from qnn_pynq.train._torch import torch  # noqa: E402
from qnn_pynq.train.data import DataSet, load_dataset, split  # noqa: E402
from qnn_pynq.train.decode import choose_levels  # noqa: E402
from qnn_pynq.train.lfc.augment import Augment  # noqa: E402
from qnn_pynq.train.lfc.encoding import Table, plain  # noqa: E402
from qnn_pynq.train.lfc.loop import Recipe, device, evaluate_scores, train  # noqa: E402
from qnn_pynq.train.lfc.recipes import RECIPES  # noqa: E402
from qnn_pynq.train.lfc.table import learn_table  # noqa: E402
from qnn_pynq.train.lfc.teacher import soft_labels  # noqa: E402

_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])


def table_of(kind: str, training: DataSet, seed: int) -> Table:
    if kind == "learned":
        return learn_table(training, seed, report=print)
    pixels = np.arange(784, dtype=np.uint16)
    if kind == "bayer":
        row, column = np.divmod(np.arange(784), 28)
        return Table(pixels, (16 + 14 * _BAYER[row % 4, column % 4]).astype(np.uint8))
    if kind == "median":
        flat = training.pictures.reshape(-1, 784)
        lit = [flat[:, k][flat[:, k] > 10] for k in range(784)]
        return Table(pixels, np.array([np.median(v) if len(v) > 50 else 128 for v in lit]).astype(np.uint8))
    return plain(int(kind))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=sorted(DATASETS))
    parser.add_argument("--encoding", default="128")
    parser.add_argument("--ternary", action="store_true")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--rate", type=float, default=0.005)
    parser.add_argument("--versus-rest", type=float, default=0.3)
    parser.add_argument("--distill", type=float, default=0.0)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--augment", action="store_true", help="as the shipped recipe does")
    parser.add_argument("--held-out", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    training, held_out = split(load_dataset(o.dataset, "train"), o.held_out, o.seed)
    table = table_of(o.encoding, training, o.seed)
    distortion = RECIPES["lfc-w1a1-" + o.dataset].recipe.augment if o.augment else Augment()
    recipe = Recipe(
        o.ternary,
        o.epochs,
        o.seed,
        rate=o.rate,
        dropout=o.dropout,
        versus_rest=o.versus_rest,
        distill=o.distill,
        augment=distortion,
        clean_epochs=2 if o.augment else 0,
    )
    teacher = soft_labels(training, held_out, o.seed, device(), report=print) if o.distill else None
    model = train(training, held_out, table, recipe, report=print, teacher=teacher)
    scores = evaluate_scores(model, held_out, table) + model.bias.detach().cpu().numpy()
    borders, decoded = choose_levels(scores, held_out.labels, 6)
    print(
        f"held out {len(held_out.labels)}: {100 * np.mean(scores.argmax(1) == held_out.labels):.2f} % by the largest "
        f"sum, {100 * decoded:.2f} % decoded, borders {np.round(borders, 1).tolist()}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
