"""`import`: networks from other tools' parameters."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .options import positive
from .output import EXIT_OK, EXIT_USAGE, Failure, emit_made

__all__ = ["add_parsers"]

_OBJECTS = {"mass": (20, 20), "box": (28, 28)}  # as in MNIST and in Fashion-MNIST

_DESCRIPTION = """\
Turn parameters of other tools into a network folder that Classifier("FOLDER") and qnn-pynq -n FOLDER load.

  bnn-pynq      a parameter folder of BNN-PYNQ: <layer>-<pe>-weights.bin, <layer>-<pe>-thres.bin, classes.txt
  qnn-mo        a layer list of QNN-MO-PYNQ (dorefanet-layers.json), or the folder with it, where --network
                chooses among several; beside it its parameter folder, the first layer's .npy and the mean
                picture; --fc FILE adds the dense layers
  finnthesizer  the .npz of its training scripts: W, bias, beta, gamma, mean, inv_std of each layer
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "import",
        parents=[common],
        help="turn other tools' parameters into a network",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  qnn-pynq import bnn-pynq params/mnist/lfcW1A1 -o mnist-xilinx",
    )
    parser.add_argument("format", choices=("bnn-pynq", "qnn-mo", "finnthesizer"), help="what the source is")
    parser.add_argument("source", metavar="SOURCE", help="parameter folder, layer list, or .npz file")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="network folder to write")
    parser.add_argument("--classes", metavar="FILE", help="text file with the class names, one a line")
    parser.add_argument("--name", help="name of the network (default: that of DIR)")
    parser.add_argument(
        "--precision",
        choices=("w1a1", "w1a2"),
        help="bits of weights and activations; finnthesizer files do not say, so it is needed there",
    )
    parser.add_argument(
        "--rule",
        choices=("exact", "upstream"),
        default="exact",
        help="finnthesizer: how batch norm becomes thresholds; `upstream` gives upstream's bytes, which "
        "are off by one for negative gamma (default: exact)",
    )
    parser.add_argument(
        "--framing",
        choices=("auto", "mass", "box", "none"),
        help="bnn-pynq, finnthesizer: how the object lies in the network's pictures: centred by its mass or box, or "
        "the whole picture is the object (default: auto, told by the classes where they are digits or characters)",
    )
    parser.add_argument(
        "--object",
        nargs=2,
        type=positive,
        metavar=("HEIGHT", "WIDTH"),
        help="with --framing mass or box: pixels that the object fills (default: 20 20 for mass, 28 28 for box)",
    )
    parser.add_argument("--network", metavar="NAME", help="qnn-mo: which of several layer lists, such as dorefanet")
    parser.add_argument(
        "--fc",
        metavar="FILE",
        help="qnn-mo: dense layers of the network, mapped into memory; without them it gives features, no classes",
    )
    parser.add_argument(
        "--conv0",
        metavar="FILE",
        help="qnn-mo: first layer (default: NETWORK-conv0.npy beside it, or NETWORK-conv0-W.npy and -bias.npy where "
        "the list does not have it)",
    )
    parser.add_argument(
        "--last",
        metavar="FILE",
        help="qnn-mo: convolution of 1 x 1 behind the overlay, ...-W.npy with ...-bias.npy beside it (default: that of "
        "a list without first layer, where it is there)",
    )
    parser.add_argument(
        "--codes", action="store_true", help="qnn-mo: only the overlay's layers, which take and give codes, no pictures"
    )
    parser.add_argument("--mean", metavar="FILE", help="qnn-mo: mean picture (default: ilsvrc_pp_mean.npy beside it)")
    parser.add_argument("--overwrite", action="store_true", help="replace what is in DIR")
    parser.set_defaults(run=_import)


def _import(args: argparse.Namespace) -> int:
    from ..networks.store import load_network, save_network

    name = args.name or Path(args.output).resolve().name
    classes = _class_names(args.classes)
    if args.rule != "exact" and args.format != "finnthesizer":
        raise Failure("--rule is for finnthesizer files: other sources have thresholds already", EXIT_USAGE)
    if args.format != "qnn-mo" and (
        args.fc or args.conv0 or args.mean or args.network or args.last or args.codes
    ):
        raise Failure("--fc, --conv0, --last, --mean, --network and --codes are for qnn-mo", EXIT_USAGE)
    framing = _framing(args)
    if args.format == "bnn-pynq":
        from ..convert.bnn_pynq import import_bnn_pynq

        network = import_bnn_pynq(args.source, name, classes, args.precision, framing)
    elif args.format == "qnn-mo":
        from ..convert.qnn_mo import import_qnn_mo

        if args.precision is not None:
            raise Failure("--precision is not for qnn-mo: the layer list says it", EXIT_USAGE)
        network = import_qnn_mo(
            args.source, name, classes, args.conv0, args.mean, args.fc,
            network=args.network, last=args.last, codes=args.codes,
        )
    else:
        from ..convert.finnthesizer import import_finnthesizer

        network = import_finnthesizer(args.source, name, classes, args.precision, args.rule, framing)
    emit_made(load_network(save_network(network, args.output, overwrite=args.overwrite)), args.json)
    return EXIT_OK


def _framing(args: argparse.Namespace) -> Any:
    """What the importers take for --framing and --object."""
    from ..contracts.network import Framing

    if args.format == "qnn-mo" and (args.framing or args.object):
        raise Failure("--framing and --object are not for qnn-mo: its networks see photographs", EXIT_USAGE)
    if args.framing in ("mass", "box"):
        return Framing(tuple(args.object or _OBJECTS[args.framing]), args.framing)
    if args.object:
        raise Failure("--object goes with --framing mass or --framing box", EXIT_USAGE)
    return None if args.framing == "none" else "auto"


def _class_names(file: str | None) -> list[str] | None:
    """Lines of a text file; empty ones at its end do not count."""
    if file is None:
        return None
    from ..files.bounded import MOST_TEXT, TooMuch, read_all

    try:
        with open(file, "rb") as stream:  # which may be a pipe
            return read_all(stream, MOST_TEXT).decode("utf-8").rstrip().splitlines()
    except (TooMuch, UnicodeDecodeError) as error:
        raise Failure(f"{file} is no text file: {error}") from error
    except OSError as error:
        text = "--classes {} cannot be read: {}; name a text file with one class name a line"
        raise Failure(text.format(file, error.strerror or error)) from error
