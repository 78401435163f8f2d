"""`import` and `train`: networks of the user's own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .output import EXIT_OK, EXIT_USAGE, Failure, emit, emit_json, percent, positive

__all__ = ["add_parsers"]

_IMPORT = """\
Turn parameters of other tools into a network folder that Classifier("FOLDER") and qnn-pynq -n FOLDER load.

  bnn-pynq      a parameter folder of BNN-PYNQ: <layer>-<pe>-weights.bin, <layer>-<pe>-thres.bin, classes.txt
  qnn-mo        a layer list of QNN-MO-PYNQ (dorefanet-layers.json), with its parameter folder, the first
                layer's .npy and the mean picture beside it; --fc FILE adds the dense layers
  finnthesizer  the .npz of its training scripts: W, bias, beta, gamma, mean, inv_std of each layer
"""
_TRAIN = """\
Train a network on pictures of your own and write a network folder (needs PyTorch: pip install
'qnn-pynq[train]'). FOLDER has one folder of pictures for each class, named as the class; or give an .npz
file.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    imports = commands.add_parser(
        "import",
        parents=[common],
        help="turn other tools' parameters into a network",
        description=_IMPORT,
        formatter_class=raw,
        epilog="example:\n  qnn-pynq import bnn-pynq params/mnist/lfcW1A1 -o mnist-xilinx",
    )
    imports.add_argument("format", choices=("bnn-pynq", "qnn-mo", "finnthesizer"), help="what the source is")
    imports.add_argument("source", metavar="SOURCE", help="parameter folder, layer list, or .npz file")
    imports.add_argument("-o", "--output", required=True, metavar="DIR", help="network folder to write")
    imports.add_argument("--classes", metavar="FILE", help="text file with the class names, one a line")
    imports.add_argument("--name", help="name of the network (default: that of DIR)")
    imports.add_argument(
        "--precision",
        choices=("w1a1", "w1a2"),
        help="bits of weights and activations; finnthesizer files do not say, so it is needed there",
    )
    imports.add_argument(
        "--rule",
        choices=("exact", "upstream"),
        default="exact",
        help="finnthesizer: how batch norm becomes thresholds; `upstream` gives upstream's bytes, which "
        "are off by one for negative gamma (default: exact)",
    )
    imports.add_argument(
        "--fc",
        metavar="FILE",
        help="qnn-mo: dense layers of the network, mapped into memory; without them it gives features, no classes",
    )
    imports.add_argument("--conv0", metavar="FILE", help="qnn-mo: first layer (default: NETWORK-conv0.npy beside it)")
    imports.add_argument("--mean", metavar="FILE", help="qnn-mo: mean picture (default: ilsvrc_pp_mean.npy beside it)")
    imports.add_argument("--overwrite", action="store_true", help="replace what is in DIR")
    imports.set_defaults(run=_import)

    train = commands.add_parser(
        "train",
        parents=[common],
        help="train a network on your own pictures",
        description=_TRAIN,
        formatter_class=raw,
        epilog="examples:\n  qnn-pynq train lfc my-drawings -o my-network --precision w1a2\n"
        "  qnn-pynq train dorefa my-photographs -o my-network --mirror\n"
        "  qnn-pynq classify new.png -n my-network",
    )
    train.add_argument(
        "topology",
        choices=("lfc", "dorefa"),
        help="lfc: 784-1024-1024-1024-classes on grey pictures, for the LFC overlays; dorefa: seven convolutions on "
        "colour pictures, for the multi-layer offload overlay",
    )
    train.add_argument("folder", metavar="FOLDER", help="folder of class-named folders, or .npz file")
    train.add_argument("-o", "--output", required=True, metavar="DIR", help="network folder to write")
    train.add_argument(
        "--precision",
        choices=("w1a1", "w1a2"),
        help="bits of weights and activations (default: w1a1 for lfc, w1a2 for dorefa, which has no other)",
    )
    train.add_argument(
        "--epochs", type=positive, metavar="N", help="passes over the pictures (default: by their number)"
    )
    train.add_argument("--seed", type=int, default=1, metavar="N", help="of everything random (default: %(default)s)")
    train.add_argument(
        "--size",
        nargs=2,
        type=positive,
        metavar=("HEIGHT", "WIDTH"),
        help="what the network sees (default: 28 28 for lfc, 64 64 for dorefa, where it is a square)",
    )
    train.add_argument("--mirror", action="store_true", help="mirrored pictures are of the same class")
    train.set_defaults(run=_train)


def _import(args: argparse.Namespace) -> int:
    from ..network import load_network, save_network

    name = args.name or Path(args.output).resolve().name
    classes = _class_names(args.classes)
    if args.rule != "exact" and args.format != "finnthesizer":
        raise Failure("--rule is for finnthesizer files: other sources have thresholds already", EXIT_USAGE)
    if args.format != "qnn-mo" and (args.fc or args.conv0 or args.mean):
        raise Failure("--fc, --conv0 and --mean are for qnn-mo", EXIT_USAGE)
    if args.format == "bnn-pynq":
        from ..convert.bnn_pynq import import_bnn_pynq

        network = import_bnn_pynq(args.source, name, classes, args.precision)
    elif args.format == "qnn-mo":
        from ..convert.qnn_mo import import_qnn_mo

        if args.precision is not None:
            raise Failure("--precision is not for qnn-mo: the layer list says it", EXIT_USAGE)
        network = import_qnn_mo(args.source, name, classes, args.conv0, args.mean, args.fc)
    else:
        from ..convert.finnthesizer import import_finnthesizer

        network = import_finnthesizer(args.source, name, classes, args.precision, args.rule)
    return _made(load_network(save_network(network, args.output, overwrite=args.overwrite)), args)


def _class_names(file: str | None) -> list[str] | None:
    """Lines of a text file; empty ones at its end do not count."""
    if file is None:
        return None
    from ..bounded import MOST_TEXT, TooMuch, read_all

    try:
        with open(file, "rb") as stream:  # which may be a pipe
            return read_all(stream, MOST_TEXT).decode("utf-8").rstrip().splitlines()
    except (TooMuch, UnicodeDecodeError) as error:
        raise Failure("{} is no text file: {}".format(file, error)) from error
    except OSError as error:
        text = "--classes {} cannot be read: {}; name a text file with one class name a line"
        raise Failure(text.format(file, error.strerror or error)) from error


def _train(args: argparse.Namespace) -> int:
    from ..network import load_network
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
    return _made(load_network(folder), args)


def _made(network: Any, args: argparse.Namespace) -> int:
    """Say what was written and how to use it."""
    known = network.provenance.get("accuracy")
    accuracy = known if isinstance(known, dict) else {}
    if args.json:
        emit_json(
            {
                "network": network.name,
                "path": network.path,
                "classes": list(network.classes),
                "overlays": list(network.overlays),
                "accuracy": accuracy,
            }
        )
        return EXIT_OK
    kinds = "{} classes".format(len(network.classes)) if network.classes else "features, no classes"
    emit("{}: {}, for {}".format(network.path, kinds, ", ".join(network.overlays)))
    if isinstance(accuracy.get("test"), (int, float)):
        count = accuracy.get("images")
        emit(
            "accuracy on {} pictures that were set apart: {}".format(
                count if count else "the", percent(accuracy["test"])
            )
        )
    if network.classes:
        emit("use it with: qnn-pynq classify PICTURE -n {}".format(network.path))
    else:
        emit("use it with: Classifier({!r}).features(pictures)".format(str(network.path)))
    return EXIT_OK
