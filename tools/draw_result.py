"""Draw docs/images/fashion.png: demo pictures and what the classifier says of them.

    python tools/draw_result.py [NETWORK] [-o FILE]

Takes the second picture of every class, right or wrong.
"""
from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  # after the backend is chosen
from PIL import Image  # noqa: E402

from qnn_pynq import Classifier, demo  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("network", nargs="?", default="lfc-w1a1-fashion-mnist")
parser.add_argument("-o", "--output", default="docs/images/fashion.png")
arguments = parser.parse_args()

seen: dict = {}
for path, label in demo.pictures("fashion-mnist" if "fashion" in arguments.network else "mnist"):
    seen.setdefault(label, []).append(path)
figure, axes = plt.subplots(2, 5, figsize=(9, 4.4))
with Classifier(arguments.network, board="emulated") as classifier:
    for axis, (label, paths) in zip(axes.flat, seen.items()):
        answer = classifier.classify(paths[1])
        axis.imshow(Image.open(paths[1]).convert("RGB"))
        axis.set_title(answer.label, color="black" if answer.label == label else "crimson", fontsize=11)
        levels = classifier.network.decode.levels
        axis.set_xlabel(f"{answer.scores[answer.index]} of {levels} levels", fontsize=8)
        axis.set_xticks([])
        axis.set_yticks([])
figure.suptitle(f"{arguments.network} on the emulated board", fontsize=10)
figure.tight_layout(h_pad=1.5)
figure.savefig(arguments.output, dpi=110)
print("wrote", arguments.output)
