"""Draw the demo pictures of the package, or count how many of them a network gets right.

    python tools/draw_demo.py                    # draw into qnn_pynq/demo, the same files every time
    python tools/draw_demo.py --sheet demo.png   # one contact sheet to look at
    python tools/draw_demo.py --hits NETWORK     # right answers, by class, through the software engine

Ten pictures of each class, drawn before any network saw them; none was dropped because a network
misses it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Iterator

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from demo_digits import draw_digit  # noqa: E402
from demo_garments import GARMENTS, draw_garment  # noqa: E402

TARGET = ROOT / "qnn_pynq" / "demo"
PER_CLASS = 10
SEED = 20
COLOURS = 32

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def drawings() -> Iterator[tuple[str, str, str, Image.Image]]:
    """(data set, label, file, picture); each has its own generator, so one change moves nothing else."""
    for digit in range(10):
        for number in range(PER_CLASS):
            rng = np.random.RandomState([SEED, 0, digit, number])
            yield "mnist", str(digit), _file(WORDS[digit], number), draw_digit(digit, number, rng)
    for index, (label, name, _) in enumerate(GARMENTS):
        for number in range(PER_CLASS):
            rng = np.random.RandomState([SEED, 1, index, number])
            yield "fashion-mnist", label, _file(name, number), draw_garment(index, number, rng)


def _file(name: str, number: int) -> str:
    return "{}.png".format(name if number == 0 else f"{name}{number + 1}")


def draw(target: Path) -> int:
    """Write the pictures and index.json; returns the bytes written."""
    target.mkdir(parents=True, exist_ok=True)
    entries = []
    for dataset, label, file, picture in drawings():
        small = picture.quantize(COLOURS, method=0, dither=0)
        small.save(target / file, optimize=True)
        entries.append({"file": file, "label": label, "dataset": dataset})
    text = json.dumps({"pictures": entries}, indent=1)
    (target / "index.json").write_text(text + "\n", encoding="utf-8")
    return sum((target / entry["file"]).stat().st_size for entry in entries)


def sheet(path: Path) -> None:
    """All pictures on one page, a row for each class."""
    cells = [picture.convert("RGB").resize((96, 96)) for _, _, _, picture in drawings()]
    page = Image.new("RGB", (96 * PER_CLASS * 2, 96 * 10), "white")
    for k, cell in enumerate(cells):
        half, row, column = k // (10 * PER_CLASS), k // PER_CLASS % 10, k % PER_CLASS
        page.paste(cell, (96 * (column + half * PER_CLASS), 96 * row))
    page.save(path)


def hits(network: str) -> int:
    """Print the hit rate of a network on the demo pictures; returns the number of misses."""
    from qnn_pynq import Classifier
    from qnn_pynq.demo import pictures

    with Classifier(network, board="cpu") as classifier:
        known = {name.lower(): name for name in classifier.class_names}
        dataset = "mnist" if "0" in known else "fashion-mnist"
        pairs = pictures(dataset)
        answers = classifier.classify_many([path for path, _ in pairs])
        right = {label: 0 for _, label in pairs}
        for (path, label), answer in zip(pairs, answers):
            right[label] += answer.label == label
            if answer.label != label:
                print(f"{path.name:16} is {label:12} answered {answer.label}")
    for label, count in right.items():
        print(f"{label:12} {count:2} of {PER_CLASS}")
    total = sum(right.values())
    print(f"{classifier.network.name}: {total} of {len(pairs)} demo pictures right")
    return len(pairs) - total


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=TARGET, help="folder to draw into")
    parser.add_argument("--sheet", type=Path, help="draw one contact sheet instead")
    parser.add_argument("--hits", metavar="NETWORK", help="count the right answers of a network instead")
    options = parser.parse_args()
    if options.hits:
        hits(options.hits)
    elif options.sheet:
        sheet(options.sheet)
    else:
        print(f"{draw(options.out)} bytes of pictures in {options.out}")


if __name__ == "__main__":
    main()
