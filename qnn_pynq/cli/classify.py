"""`classify`: pictures to labels."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

from .options import MOST_BYTES, add_board, positive
from .output import EXIT_OK, EXIT_USAGE, EXIT_USER, Failure, answered_by, complain, emit, emit_json

__all__ = ["add_parsers"]

_DEFAULT_NETWORK = "lfc-w1a1-fashion-mnist"

_DESCRIPTION = """\
Classify picture files of any size, grey or colour, light on dark or dark on light ("-" reads one from
standard input). Convolutional networks give probabilities. Of dense ones the scores are what the overlay's
output word says of each class, 0 if nothing fired for it; with --board cpu they give probabilities too.
"""
_EPILOG = """\
examples:
  qnn-pynq classify --demo
  qnn-pynq classify boot.png bag.jpg --top 3
  qnn-pynq classify seven.png -n lfc-w1a1-mnist --board cpu --json
  qnn-pynq classify dog.jpg -n dorefa-w1a2-imagenette --top 5
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "classify",
        parents=[common],
        help="what is on a picture",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help="picture file, or - for standard input")
    parser.add_argument(
        "-n",
        "--network",
        default=_DEFAULT_NETWORK,
        metavar="NETWORK",
        help="name or folder of the network (default: %(default)s)",
    )
    add_board(parser)
    parser.add_argument("--top", type=positive, default=1, metavar="K", help="show the K best classes (default: 1)")
    parser.add_argument(
        "--demo",
        action="store_true",
        help="classify the pictures that come with the package, and count the right answers",
    )
    parser.set_defaults(run=_classify)


def _demo(network: Any) -> list[tuple[str, str]]:
    """(path, label) of the demo pictures of a network."""
    from .. import demo
    from ..datasets.testsets import dataset_of

    dataset = dataset_of(network)
    if dataset not in demo.DATASETS:
        known = " and ".join(demo.DATASETS)
        text = "no demo pictures for {}, there are some for {}: give pictures of your own"
        raise Failure(text.format(network.name, known))
    return [(str(path), label) for path, label in demo.pictures(dataset)]


def _classify(args: argparse.Namespace) -> int:
    if not (args.pictures or args.demo):
        complain("error", "no picture given: name picture files, or --demo for those that come with the package")
        return EXIT_USAGE
    from ..classifier.classifier import Classifier

    with Classifier(args.network, board=args.board) as classifier:
        wanted = [(name, None) for name in args.pictures] + (_demo(classifier.network) if args.demo else [])
        if not args.json:
            emit(f"{classifier.network.name} on {answered_by(classifier)}")
        answers = [_answer(classifier, name, label, args) for name, label in wanted]
        summary = {
            "network": classifier.network.name,
            "board": classifier.engine.name,
            "emulated": classifier.board is not None and classifier.board.emulated,
        }
    expected = [answer for answer in answers if "expected" in answer]
    right = sum(answer["label"] == answer["expected"] for answer in expected)
    if args.json:
        emit_json(dict(summary, right=right if expected else None, pictures=answers))
    elif expected:
        emit(f"\n{right} of {len(expected)} demo pictures right")
    return EXIT_USER if any("error" in answer for answer in answers) else EXIT_OK


def _answer(classifier: Any, name: str, expected: str | None, args: argparse.Namespace) -> dict[str, Any]:
    """Classify one picture; what is wrong with it does not keep the others from being classified."""
    from ..errors import InputError

    try:
        prediction = classifier.classify(_standard_input() if name == "-" else name)
    except InputError as error:
        complain("error", f"{error}")
        return {"picture": name, "error": str(error)}
    best = prediction.top(min(args.top, len(prediction.classes)))
    answer = {
        "picture": name,
        "label": prediction.label,
        "index": prediction.index,
        "fired": prediction.fired,
        "scores": prediction.scores,
        "probability": prediction.probability,
        "top": best,
        "stages_seconds": dict(prediction.stages),
        "accelerator_is_modelled": prediction.accelerator_is_modelled,
    }
    if expected is not None:
        answer["expected"] = expected
    if not args.json:
        _print(Path(name).name, answer, best)
    return answer


def _standard_input() -> io.BytesIO:
    if sys.stdin is None:
        raise Failure("-: standard input is closed: name a picture file")
    return io.BytesIO(sys.stdin.buffer.read(MOST_BYTES))  # an endless one ends


def _print(name: str, answer: dict[str, Any], best: list[tuple[str, float]]) -> None:
    kind = "score" if answer["probability"] is None else "probability"
    line = "{:24}  {:16}  {} {}".format(name, answer["label"], kind, _value(best[0][1]))
    if not answer["fired"]:
        line += "  (no neuron fired: a guess)"
    if answer.get("expected", answer["label"]) != answer["label"]:
        line += "  (drawn as {})".format(answer["expected"])
    emit(line)
    for label, value in best[1:]:
        emit("{:24}  {:16}  {} {}".format("", label, kind, _value(value)))


def _value(value: float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
