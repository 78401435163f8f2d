"""`profile`: the layers of a network and their times."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ..errors import MissingDependencyError
from .options import add_board, check_batch, positive
from .output import EXIT_OK, Failure, answered_by, emit, emit_json

__all__ = ["add_parsers"]

_DESCRIPTION = """\
Where the time of a picture goes, layer by layer: where it runs, multiplications, time on the processor alone,
time on the logic, ratio and share. On the emulated board the logic's time comes from the cycle model, a lower
bound, and is marked so. Without a picture random pixels are taken: times do not depend on them.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "profile",
        parents=[common],
        help="time by layer, on the processor and on the logic",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  qnn-pynq profile dorefa-w1a2-imagenette\n"
        "  qnn-pynq profile my-network picture.jpg --pictures 16 --plot layers.png",
    )
    parser.add_argument("network", metavar="NETWORK", help="name or folder of the network")
    parser.add_argument("picture", nargs="?", metavar="PICTURE", help="picture file")
    parser.add_argument(
        "--pictures", "--images", type=positive, default=1, metavar="N",
        help="the picture N times as one batch: weights are written once a batch (default: 1)",
    )
    parser.add_argument("--repeats", type=positive, default=5, metavar="N", help="runs on the processor (default: 5)")
    parser.add_argument("--plot", metavar="FILE", help="write a bar chart (needs matplotlib)")
    add_board(parser)
    parser.set_defaults(run=_profile)


def _check_plot(file: Path) -> None:
    """Refuse before measuring what could not be written after it."""
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise MissingDependencyError("--plot needs matplotlib: pip install matplotlib") from error
    known = sorted(FigureCanvasBase.get_supported_filetypes())
    ending = file.suffix[1:].lower()
    if ending and ending not in known:
        raise Failure("--plot {}: no format {!r}: expected one of {}".format(file, ending, ", ".join(known)))
    folder = file.absolute().parent
    if file.is_dir() or not folder.is_dir() or not os.access(str(folder), os.W_OK):
        raise Failure(f"--plot {file} cannot be written: expected a file in a folder that you may write to")


def _profile(args: argparse.Namespace) -> int:
    import numpy as np

    from ..classifier.classifier import Classifier

    if args.plot is not None:
        _check_plot(Path(args.plot))
    with Classifier(args.network, board=args.board) as classifier:
        picture, spec = args.picture, classifier.network.input
        check_batch(spec, args.pictures)
        if picture is None:
            shape = spec.size if spec.channels == 1 else (*spec.size, spec.channels)
            picture = np.random.default_rng(1).integers(0, spec.encoding.levels, shape).astype(np.uint8)
        found = classifier.profile([picture] * args.pictures, repeats=args.repeats)
        where = answered_by(classifier)
    if args.plot is not None:
        try:
            found.plot().figure.savefig(args.plot, bbox_inches="tight")
        except (OSError, RuntimeError, ValueError) as error:  # some formats need other programs
            text = "--plot {} cannot be written: {}; use another file, such as layers.png"
            raise Failure(text.format(args.plot, error)) from error
    if args.json:
        emit_json(found.as_dict())
        return EXIT_OK
    emit(f"{found.network} on {where}\n")
    for line in str(found).splitlines()[1:]:
        emit(line)
    return EXIT_OK
