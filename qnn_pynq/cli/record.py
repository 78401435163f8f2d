"""`record` and `replay`: what driver and board say to each other, in a file that can be sent."""

from __future__ import annotations

import argparse
from typing import Any

from .output import EXIT_FAILED, EXIT_OK, EXIT_USER, complain, duration, emit, emit_json, positive

__all__ = ["add_parsers"]

_RECORD = """\
Classify a few of a network's known pictures, and write every register access and buffer of it into one file:
what the driver asked, what the board answered, and when. It holds the network's weights and pictures, the
releases of pynq, Python and this library, and the board's name; nothing else about you or your machine.
"""
_REPLAY = """\
Let the driver do what a recording has, without the board. Says where the driver's traffic differs, which
pictures the board answered otherwise than the processor, and where the emulated overlay would have left
other bytes in memory. Exit code 1 if anything differs.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "record",
        parents=[common],
        help="a run on the board as a file",
        description=_RECORD,
        formatter_class=raw,
        epilog="example, on a board:\n  qnn-pynq record lfc-w1a1-mnist --board zynq --output lfc.recording",
    )
    parser.add_argument("network", metavar="NETWORK", help="name or folder of the network")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="file to write")
    parser.add_argument("--images", type=positive, default=4, metavar="N", help="pictures (default: 4)")
    parser.add_argument(
        "--board",
        choices=("auto", "emulated", "zynq"),
        default="auto",
        help="auto: the FPGA if there is one, else the emulated board (default: %(default)s)",
    )
    parser.add_argument("--conservative", action="store_true", help="the published register sequence only")
    parser.set_defaults(run=_record)
    parser = commands.add_parser(
        "replay",
        parents=[common],
        help="a recorded run against the driver and the emulated overlay",
        description=_REPLAY,
        formatter_class=raw,
        epilog="example:\n  qnn-pynq replay lfc.recording",
    )
    parser.add_argument("file", metavar="FILE", help="a recording")
    parser.add_argument("-n", "--network", metavar="NETWORK", help="folder of the network, where it is one of your own")
    parser.set_defaults(run=_replay)


def _record(args: argparse.Namespace) -> int:
    from ..boards import open_board
    from ..catalogue import find_network
    from ..diagnosis.recording import record
    from ..diagnosis.recording_file import check_place

    output = check_place(args.output)
    network = find_network(args.network)
    with open_board(args.board) as board:
        made = record(network, board, output, args.images, args.conservative)
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
        complain("error", "the run failed, and so ends the recording: {}".format(made.error))
        return EXIT_USER
    return EXIT_OK


def _replay(args: argparse.Namespace) -> int:
    from ..catalogue import find_network
    from ..diagnosis.recording import replay

    found = replay(args.file, None if args.network is None else find_network(args.network))
    if args.json:
        emit_json(dict(found._asdict(), ok=found.ok))
        return EXIT_OK if found.ok else EXIT_FAILED
    header = found.header
    where = [str(header.get("board"))]
    where += ["{} {}".format(key, header[key]) for key in ("image", "pynq") if header.get(key)]
    name = header["network"]["name"]
    emit("{} on {}: {} pictures, {} events".format(name, ", ".join(where), found.pictures, found.events))
    kind = "modelled" if header.get("emulated") is True else "measured"
    times = ["{} {}".format(what, duration(seconds)) for what, seconds in found.seconds.items()]
    emit("{}  ({})".format("  ".join(times), kind))
    for wrong in found.mismatches:
        emit("picture {picture}: expected {expected}, the board answered {got}".format(**wrong))
    for line in found.twin:
        emit(line)
    result = "all answers are right, and the emulated overlay's" if found.ok else "the answers differ"
    emit("the driver asks what it asked then; " + result)
    return EXIT_OK if found.ok else EXIT_FAILED
