"""`evaluate`: accuracy on a test set."""

from __future__ import annotations

import argparse
from typing import Any

from .options import add_board, positive
from .output import EXIT_OK, answered_by, emit, emit_json, table

__all__ = ["add_parsers"]

_DESCRIPTION = """\
Accuracy of a network on its test set, through the driver of its overlay. The test set of MNIST, Fashion-MNIST,
Imagenette and CIFAR-10 is looked for in $QNN_PYNQ_DATA and in the cache; nothing is downloaded unless you say
so, and the last two never are.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "evaluate",
        parents=[common],
        help="accuracy on a test set",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  qnn-pynq evaluate lfc-w1a1-mnist --compare\n"
        "  qnn-pynq evaluate my-network --data my-test-pictures --confusion",
    )
    parser.add_argument("network", metavar="NETWORK", help="name or folder of the network")
    parser.add_argument(
        "--data",
        metavar="FOLDER|FILE.npz",
        help="idx files, class-named folders of pictures, CIFAR-10's binary version, or .npz with x_test and y_test",
    )
    parser.add_argument("--download", action="store_true", help="fetch the public test set if it is not here")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N pictures")
    parser.add_argument("--compare", action="store_true", help="the same through the software engine, beside it")
    parser.add_argument("--confusion", action="store_true", help="print the confusion matrix")
    add_board(parser)
    parser.set_defaults(run=_evaluate)


def _evaluate(args: argparse.Namespace) -> int:
    from ..classifier.classifier import Classifier
    from ..classifier.labels import check_classes
    from ..datasets.testsets import find_test_set

    with Classifier(args.network, board=args.board) as classifier:
        check_classes(classifier.network)
        test = find_test_set(classifier.network, args.data, args.download).first(args.limit)
        where = answered_by(classifier)
        result = classifier.evaluate(test.pictures, test.labels, compare=args.compare)
    if args.json:
        emit_json(dict(result.as_dict(), test_set=test.source))
        return EXIT_OK
    emit(f"{result.network} on {where}\ntest set {test.source}\n")
    emit(str(result))
    if args.confusion:
        emit("\ntrue class in rows, answer in columns")
        short = [name[:7] for name in result.classes]
        emit(
            table(
                [""] + short,
                [[name] + list(row) for name, row in zip(result.classes, result.confusion.tolist())],
                range(1, len(short) + 1),
            )
        )
    return EXIT_OK
