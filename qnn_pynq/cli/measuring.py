"""`evaluate` and `benchmark`: accuracy and speed."""

from __future__ import annotations

import argparse
from typing import Any

from .answering import add_board, answered_by, check_batch
from .output import EXIT_OK, duration, emit, emit_json, positive, table

__all__ = ["add_parsers"]

_EVALUATE = """\
Accuracy of a network on its test set, through the driver of its overlay. The test set of MNIST, Fashion-MNIST,
Imagenette and CIFAR-10 is looked for in $QNN_PYNQ_DATA, in ../shared beside a checkout, and in the cache; nothing
is downloaded unless you say so, and the last two never are.
"""
_BENCHMARK = """\
Images per second of each stage, for single pictures and for batches. On the emulated board the
accelerator's time comes from the cycle model of the circuit, and is marked so; the time that the emulation
takes is shown beside it and is no FPGA time.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    evaluate = commands.add_parser(
        "evaluate",
        parents=[common],
        help="accuracy on a test set",
        description=_EVALUATE,
        formatter_class=raw,
        epilog="examples:\n  qnn-pynq evaluate lfc-w1a1-mnist --compare\n"
        "  qnn-pynq evaluate my-network --data my-test-pictures --confusion",
    )
    evaluate.add_argument("network", metavar="NETWORK", help="name or folder of the network")
    evaluate.add_argument(
        "--data",
        metavar="FOLDER|FILE.npz",
        help="idx files, class-named folders of pictures, CIFAR-10's binary version, or .npz with x_test and y_test",
    )
    evaluate.add_argument("--download", action="store_true", help="fetch the public test set if it is not here")
    evaluate.add_argument("--limit", type=positive, metavar="N", help="only the first N pictures")
    evaluate.add_argument("--compare", action="store_true", help="the same through the software engine, beside it")
    evaluate.add_argument("--confusion", action="store_true", help="print the confusion matrix")
    add_board(evaluate)
    evaluate.set_defaults(run=_evaluate)

    benchmark = commands.add_parser(
        "benchmark",
        parents=[common],
        help="images per second by stage",
        description=_BENCHMARK,
        formatter_class=raw,
        epilog="example:\n  qnn-pynq benchmark lfc-w1a1-mnist --images 10000",
    )
    benchmark.add_argument("network", metavar="NETWORK", help="name or folder of the network")
    benchmark.add_argument(
        "--images",
        type=positive,
        metavar="N",
        help="pictures in the large batch (default: 10000, of a convolutional network 256)",
    )
    benchmark.add_argument(
        "--repeat",
        type=positive,
        default=5,
        metavar="N",
        help="take the fastest of N runs (default: %(default)s)",
    )
    add_board(benchmark)
    benchmark.set_defaults(run=_benchmark)


def _evaluate(args: argparse.Namespace) -> int:
    from ..classifier import Classifier
    from ..labels import check_classes
    from ..testsets import find_test_set

    with Classifier(args.network, board=args.board) as classifier:
        check_classes(classifier.network)
        test = find_test_set(classifier.network, args.data, args.download).first(args.limit)
        where = answered_by(classifier)
        result = classifier.evaluate(test.pictures, test.labels, compare=args.compare)
    if args.json:
        emit_json(dict(result.as_dict(), test_set=test.source))
        return EXIT_OK
    emit("{} on {}\ntest set {}\n".format(result.network, where, test.source))
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


def _benchmark(args: argparse.Namespace) -> int:
    import numpy as np

    from ..classifier import Classifier
    from ..network import Conv

    runs: list[dict[str, Any]] = []
    with Classifier(args.network, board=args.board) as classifier:
        spec = classifier.network.input
        convolutional = isinstance(classifier.network.layers[0], Conv)
        images = args.images or (256 if convolutional else 10000)
        check_batch(spec, images)
        shape = (images, *spec.size) + ((spec.channels,) if spec.channels > 1 else ())
        pictures = np.random.RandomState(1).randint(0, spec.encoding.levels, shape, dtype=np.uint8)
        where, name, board = answered_by(classifier), classifier.network.name, classifier.engine.name
        for batch in sorted({1, min(64, images), images}):
            runs.append(_measure(classifier, pictures[:batch], args.repeat))
    if args.json:
        emit_json({"network": name, "board": board, "runs": runs})
        return EXIT_OK
    emit("{} on {}".format(name, where))
    emit("random pictures, fastest of {} runs\n".format(args.repeat))
    rows = []
    for run in runs:
        for stage, seconds in run["stages_seconds_per_image"].items():
            if stage == "accelerator" and run["accelerator_is_modelled"]:
                stage += " (cycle model, not measured)"
            rows.append((run["batch"], stage, duration(seconds), _rate(seconds)))
        seconds = run["seconds_per_image"]
        rows.append((run["batch"], "predict(), wall time", duration(seconds), _rate(seconds)))
    emit(table(("batch", "stage", "time per image", "images per second"), rows, (0, 2, 3)))
    return EXIT_OK


def _measure(classifier: Any, pictures: Any, repeat: int) -> dict[str, Any]:
    """Wall time of `predict` and the stages that `evaluate` sees, per image: the fastest of several runs."""
    from time import perf_counter

    batch = len(pictures)
    calls = max(1, 1000 // batch)  # a single picture is over too soon to be timed alone
    labels = [0] * batch
    walls, splits = [], []
    for _ in range(repeat):
        begun = perf_counter()
        for _ in range(calls):
            classifier.predict(pictures)
        walls.append((perf_counter() - begun) / (calls * batch))
        splits.append([classifier.evaluate(pictures, labels) for _ in range(max(1, calls // 10))])
    stages = {
        stage: min(sum(result.stages[stage] for result in split) / len(split) for split in splits) / batch
        for stage in splits[0][0].stages
    }
    return {
        "batch": batch,
        "seconds_per_image": min(walls),
        "images_per_second": 1 / min(walls),
        "stages_seconds_per_image": stages,
        "accelerator_is_modelled": splits[0][0].accelerator_is_modelled,
    }


def _rate(seconds: float) -> str:
    return "{:,.0f}".format(1 / seconds) if seconds else "-"
