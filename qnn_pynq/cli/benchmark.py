"""`benchmark`: pictures per second by stage."""

from __future__ import annotations

import argparse
from typing import Any

from .options import add_board, check_batch, positive
from .output import EXIT_OK, answered_by, duration, emit, emit_json, table

__all__ = ["add_parsers"]

_DESCRIPTION = """\
Pictures per second of each stage, for single pictures and for batches. On the emulated board the
accelerator's time comes from the cycle model of the circuit, and is marked so; the time that the emulation
takes is shown beside it and is no FPGA time.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "benchmark",
        parents=[common],
        help="pictures per second by stage",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  qnn-pynq benchmark lfc-w1a1-mnist --pictures 10000",
    )
    parser.add_argument("network", metavar="NETWORK", help="name or folder of the network")
    parser.add_argument(
        "--pictures", "--images",
        type=positive,
        metavar="N",
        help="pictures in the large batch (default: 10000, of a convolutional network 256)",
    )
    parser.add_argument(
        "--repeat",
        type=positive,
        default=5,
        metavar="N",
        help="take the fastest of N runs (default: %(default)s)",
    )
    add_board(parser)
    parser.set_defaults(run=_benchmark)


def _benchmark(args: argparse.Namespace) -> int:
    import numpy as np

    from ..classifier.classifier import Classifier

    runs: list[dict[str, Any]] = []
    with Classifier(args.network, board=args.board) as classifier:
        spec = classifier.network.input
        count = args.pictures or (10000 if classifier.engine.kind == "words" else 256)
        check_batch(spec, count)
        shape = (count, *spec.size) + ((spec.channels,) if spec.channels > 1 else ())
        pictures = np.random.RandomState(1).randint(0, spec.encoding.levels, shape, dtype=np.uint8)
        where, name, board = answered_by(classifier), classifier.network.name, classifier.engine.name
        for batch in sorted({1, min(64, count), count}):
            runs.append(_measure(classifier, pictures[:batch], args.repeat))
    if args.json:
        emit_json({"network": name, "board": board, "runs": runs})
        return EXIT_OK
    emit(f"{name} on {where}")
    emit(f"random pictures, fastest of {args.repeat} runs\n")
    rows = []
    for run in runs:
        for stage, seconds in run["stages_seconds_per_image"].items():
            if stage == "accelerator" and run["accelerator_is_modelled"]:
                stage += " (cycle model, not measured)"
            rows.append((run["batch"], stage, duration(seconds), _rate(seconds)))
        seconds = run["seconds_per_image"]
        rows.append((run["batch"], "predict(), wall time", duration(seconds), _rate(seconds)))
    emit(table(("batch", "stage", "time per picture", "pictures per second"), rows, (0, 2, 3)))
    return EXIT_OK


def _measure(classifier: Any, pictures: Any, repeat: int) -> dict[str, Any]:
    """Wall time of `predict` and the stages that `evaluate` sees, per picture: the fastest of several runs."""
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
    return f"{1 / seconds:,.0f}" if seconds else "-"
