"""`train`: a network on the user's own pictures."""

from __future__ import annotations

import argparse
from typing import Any

from .options import positive
from .output import EXIT_OK, emit_made

__all__ = ["add_parsers"]

_DESCRIPTION = """\
Train a network on pictures of your own and write a network folder (needs PyTorch: pip install
'qnn-pynq[train]'). FOLDER has one folder of pictures for each class, named as the class; or give an .npz
file.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "train",
        parents=[common],
        help="train a network on your own pictures",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  qnn-pynq train lfc my-drawings -o my-network --precision w1a2\n"
        "  qnn-pynq train dorefa my-photographs -o my-network --mirror\n"
        "  qnn-pynq classify new.png -n my-network",
    )
    parser.add_argument(
        "topology",
        choices=("lfc", "dorefa"),
        help="lfc: 784-1024-1024-1024-classes on grey pictures, for the LFC overlays; dorefa: seven convolutions on "
        "colour pictures, for the multi-layer offload overlay",
    )
    parser.add_argument("folder", metavar="FOLDER", help="folder of class-named folders, or .npz file")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="network folder to write")
    parser.add_argument(
        "--precision",
        choices=("w1a1", "w1a2"),
        help="bits of weights and activations (default: w1a1 for lfc, w1a2 for dorefa, which has no other)",
    )
    parser.add_argument(
        "--epochs", type=positive, metavar="N", help="passes over the pictures (default: by their number)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of everything random (default: %(default)s)")
    parser.add_argument(
        "--size",
        nargs=2,
        type=positive,
        metavar=("HEIGHT", "WIDTH"),
        help="what the network sees (default: 28 28 for lfc, 64 64 for dorefa, where it is a square)",
    )
    parser.add_argument("--mirror", action="store_true", help="mirrored pictures are of the same class")
    parser.set_defaults(run=_train)


def _train(args: argparse.Namespace) -> int:
    from ..networks.store import load_network
    from ..train import train_dorefa_folder, train_folder

    # What was not given is the topology's own.
    given = {"precision": args.precision, "size": args.size and tuple(args.size)}
    train: Any = train_folder if args.topology == "lfc" else train_dorefa_folder
    folder = train(
        args.folder,
        args.output,
        epochs=args.epochs,
        seed=args.seed,
        mirror=args.mirror,
        progress=not args.json,
        **{name: value for name, value in given.items() if value is not None},
    )
    emit_made(load_network(folder), args.json)
    return EXIT_OK
