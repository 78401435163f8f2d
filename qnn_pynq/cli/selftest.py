"""`selftest`: known answers through every board."""

from __future__ import annotations

import argparse
from typing import Any

from .output import EXIT_FAILED, EXIT_OK, EXIT_USER, emit, emit_json, table

__all__ = ["add_parsers"]

_DESCRIPTION = """\
Classify stored pictures with every network, on every board that this machine has (the emulated one, the
processor alone, and the FPGA if there is one), and compare each output word or code with the one that was stored
with the network. The answers were computed from the published arithmetic alone. Exit code 1 if anything
differs.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "selftest",
        parents=[common],
        help="known answers through every available board",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  qnn-pynq selftest\n  qnn-pynq selftest lfc-w1a1-mnist --board zynq",
    )
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="only these (default: every network found)")
    parser.add_argument(
        "--board",
        action="append",
        choices=("emulated", "cpu", "zynq"),
        metavar="BOARD",
        help="only this board: emulated, cpu or zynq; may be given again (default: all there are)",
    )
    parser.set_defaults(run=_selftest)


def _selftest(args: argparse.Namespace) -> int:
    from ..diagnosis import selftest

    outcomes = selftest.run(args.networks or None, args.board)
    wrong = any(outcome.wrong for outcome in outcomes)
    ok = bool(outcomes) and all(outcome.ok for outcome in outcomes)
    if args.json:
        emit_json({"ok": ok, "outcomes": [outcome.as_dict() for outcome in outcomes]})
    else:
        rows = [(o.network, o.board, o.mode, o.pictures, o.result, f"{o.seconds:.2f} s") for o in outcomes]
        emit(table(("network", "board", "mode", "pictures", "result", "time"), rows, (3, 5)))
        emit()
        for outcome in outcomes:
            for line in outcome.details:
                emit(line)
        if wrong:
            emit("this machine gives wrong answers: do not rely on it, and report this table")
        else:
            emit("all answers right" if ok else "no wrong answer, but not everything could be run")
    if wrong:
        return EXIT_FAILED
    return EXIT_OK if ok else EXIT_USER
