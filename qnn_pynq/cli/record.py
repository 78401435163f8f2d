"""`record`: what driver and board say to each other, in a file that can be sent."""

from __future__ import annotations

import argparse
from typing import Any

from .options import positive
from .output import EXIT_OK, EXIT_USER, complain, emit, emit_json

__all__ = ["add_parsers"]

_DESCRIPTION = """\
Classify a few of a network's known pictures, and write every register access and buffer of it into one file:
what the driver asked, what the board answered, and when. It holds the network's weights and pictures, the
releases of pynq, Python and this library, and the board's name; nothing else about you or your machine.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "record",
        parents=[common],
        help="a run on the board as a file",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example, on a board:\n  qnn-pynq record lfc-w1a1-mnist --board zynq --output lfc.recording",
    )
    parser.add_argument("network", metavar="NETWORK", help="name or folder of the network")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="file to write")
    parser.add_argument("--pictures", "--images", type=positive, default=4, metavar="N", help="pictures (default: 4)")
    parser.add_argument(
        "--board",
        choices=("auto", "emulated", "zynq"),
        default="auto",
        help="auto: the FPGA if there is one, else the emulated board (default: %(default)s)",
    )
    parser.add_argument("--conservative", action="store_true", help="the published register sequence only")
    parser.set_defaults(run=_record)


def _record(args: argparse.Namespace) -> int:
    from ..boards import open_board
    from ..catalogue import find_network
    from ..diagnosis.recording import record
    from ..diagnosis.recording_file import check_place

    output = check_place(args.output)
    network = find_network(args.network)
    with open_board(args.board) as board:
        made = record(network, board, output, args.pictures, args.conservative)
        name = board.name
    if args.json:
        emit_json(
            {
                "file": output,
                "bytes": made.size,
                "board": name,
                "network": network.name,
                "events": made.events,
                "pictures": made.pictures,
                "error": None if made.error is None else str(made.error),
            }
        )
    else:
        text = "{}: {} on {}, {} pictures, {} events, {:.0f} kB"
        emit(text.format(output, network.name, name, made.pictures, made.events, made.size / 1000))
    if made.error is not None:
        complain("error", f"the run failed, and so ends the recording: {made.error}")
        return EXIT_USER
    return EXIT_OK
