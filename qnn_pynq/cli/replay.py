"""`replay`: a recorded run against the driver and the emulated overlay."""

from __future__ import annotations

import argparse
from typing import Any

from .output import EXIT_FAILED, EXIT_OK, duration, emit, emit_json

__all__ = ["add_parsers"]

_DESCRIPTION = """\
Let the driver do what a recording has, without the board. Says where the driver's traffic differs, which
pictures the board answered otherwise than the processor, and where the emulated overlay would have left
other bytes in memory. Exit code 1 if anything differs.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "replay",
        parents=[common],
        help="a recorded run against the driver and the emulated overlay",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  qnn-pynq replay lfc.recording",
    )
    parser.add_argument("file", metavar="FILE", help="a recording")
    parser.add_argument("-n", "--network", metavar="NETWORK", help="folder of the network, where it is one of your own")
    parser.set_defaults(run=_replay)


def _replay(args: argparse.Namespace) -> int:
    from ..catalogue import find_network
    from ..diagnosis.recording import replay

    found = replay(args.file, None if args.network is None else find_network(args.network))
    if args.json:
        emit_json(dict(found._asdict(), ok=found.ok))
        return EXIT_OK if found.ok else EXIT_FAILED
    header = found.header
    where = [str(header.get("board"))]
    where += [f"{key} {header[key]}" for key in ("image", "pynq") if header.get(key)]
    name = header["network"]["name"]
    emit("{} on {}: {} pictures, {} events".format(name, ", ".join(where), found.pictures, found.events))
    kind = "modelled" if header.get("emulated") is True else "measured"
    times = [f"{what} {duration(seconds)}" for what, seconds in found.seconds.items()]
    emit("{}  ({})".format("  ".join(times), kind))
    for wrong in found.mismatches:
        emit("picture {picture}: expected {expected}, the board answered {got}".format(**wrong))
    for line in found.twin:
        emit(line)
    result = "all answers are right, and the emulated overlay's" if found.ok else "the answers differ"
    emit("the driver asks what it asked then; " + result)
    return EXIT_OK if found.ok else EXIT_FAILED
