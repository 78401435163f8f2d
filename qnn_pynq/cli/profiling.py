"""`profile`: the layers of a network and their times."""

from __future__ import annotations

import argparse
from typing import Any

from .answering import add_board, answered_by
from .output import EXIT_OK, emit, emit_json, positive

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
        "  qnn-pynq profile my-network picture.jpg --images 16 --plot layers.png",
    )
    parser.add_argument("network", metavar="NETWORK", help="name or folder of the network")
    parser.add_argument("picture", nargs="?", metavar="PICTURE", help="picture file")
    parser.add_argument(
        "--images", type=positive, default=1, metavar="N",
        help="the picture N times as one batch: weights are written once a batch (default: 1)",
    )
    parser.add_argument("--repeats", type=positive, default=5, metavar="N", help="runs on the processor (default: 5)")
    parser.add_argument("--plot", metavar="FILE", help="write a bar chart (needs matplotlib)")
    add_board(parser)
    parser.set_defaults(run=_profile)


def _profile(args: argparse.Namespace) -> int:
    import numpy as np

    from ..classifier import Classifier

    with Classifier(args.network, board=args.board) as classifier:
        picture = args.picture
        if picture is None:
            spec = classifier.network.input
            shape = spec.size if spec.channels == 1 else (*spec.size, spec.channels)
            picture = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
        found = classifier.profile([picture] * args.images, repeats=args.repeats)
        where = answered_by(classifier)
    if args.plot is not None:
        found.plot().figure.savefig(args.plot, bbox_inches="tight")
    if args.json:
        emit_json(found.as_dict())
        return EXIT_OK
    emit("{} on {}\n".format(found.network, where))
    for line in str(found).splitlines()[1:]:
        emit(line)
    return EXIT_OK
