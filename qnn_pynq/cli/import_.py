"""`import`: networks from other tools' parameters."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .output import EXIT_OK, EXIT_USAGE, Failure, emit_made

__all__ = ["add_parsers"]

_DESCRIPTION = """\
Turn parameters of other tools into a network folder that Classifier("FOLDER") and qnn-pynq -n FOLDER load.

  bnn-pynq      a parameter folder of BNN-PYNQ: <layer>-<pe>-weights.bin, <layer>-<pe>-thres.bin, classes.txt
  qnn-mo        a layer list of QNN-MO-PYNQ (dorefanet-layers.json), with its parameter folder, the first
                layer's .npy and the mean picture beside it; --fc FILE adds the dense layers
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
        "--fc",
        metavar="FILE",
        help="qnn-mo: dense layers of the network, mapped into memory; without them it gives features, no classes",
    )
    parser.add_argument("--conv0", metavar="FILE", help="qnn-mo: first layer (default: NETWORK-conv0.npy beside it)")
    parser.add_argument("--mean", metavar="FILE", help="qnn-mo: mean picture (default: ilsvrc_pp_mean.npy beside it)")
    parser.add_argument("--overwrite", action="store_true", help="replace what is in DIR")
    parser.set_defaults(run=_import)


def _import(args: argparse.Namespace) -> int:
    from ..networks.store import load_network, save_network

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
    emit_made(load_network(save_network(network, args.output, overwrite=args.overwrite)), args.json)
    return EXIT_OK


def _class_names(file: str | None) -> list[str] | None:
    """Lines of a text file; empty ones at its end do not count."""
    if file is None:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise Failure("{} is no text file: {}".format(file, error)) from error
    except OSError as error:
        text = "--classes {} cannot be read: {}; name a text file with one class name a line"
        raise Failure(text.format(file, error.strerror or error)) from error
