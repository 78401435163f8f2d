"""`doctor` and `selftest`."""

from __future__ import annotations

import argparse
from typing import Any

from .output import EXIT_FAILED, EXIT_OK, EXIT_USER, emit, emit_json, table

__all__ = ["add_parsers"]

_DOCTOR = """\
Look at Python, the C kernels, pynq, the FPGA, memory, networks and overlays of this machine, and say what
to do about what is missing. Changes nothing, and needs no root.

marks:
  ok    as it should be
  info  neither good nor bad
  warn  something will not work, or be slow
  fail  the library cannot work like this (exit code 1)
"""
_SELFTEST = """\
Classify stored pictures with every network, on every board that this machine has (the emulated one, the
processor alone, and the FPGA if there is one), and compare each output word or code with the one that was stored
with the network. The answers were computed from the published arithmetic alone. Exit code 1 if anything
differs.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    doctor = commands.add_parser(
        "doctor",
        parents=[common],
        help="what this machine lacks, and what to do about it",
        description=_DOCTOR,
        formatter_class=raw,
        epilog="example:\n  qnn-pynq doctor --json > machine.json",
    )
    doctor.set_defaults(run=_doctor)
    selftest = commands.add_parser(
        "selftest",
        parents=[common],
        help="known answers through every available board",
        description=_SELFTEST,
        formatter_class=raw,
        epilog="examples:\n  qnn-pynq selftest\n  qnn-pynq selftest lfc-w1a1-mnist --board zynq",
    )
    selftest.add_argument("networks", nargs="*", metavar="NETWORK", help="only these (default: every network found)")
    selftest.add_argument(
        "--board",
        action="append",
        choices=("emulated", "cpu", "zynq"),
        metavar="BOARD",
        help="only this board: emulated, cpu or zynq; may be given again (default: all there are)",
    )
    selftest.set_defaults(run=_selftest)


def _doctor(args: argparse.Namespace) -> int:
    from ..diagnosis import doctor

    checks = doctor.examine()
    failed, warned = ([check for check in checks if check.status == status] for status in ("fail", "warn"))
    if args.json:
        emit_json({"ok": not failed, "checks": [dict(check._asdict()) for check in checks]})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            emit("{:4}  {:{}}  {}".format(check.status, check.name, width, check.value))
            if check.advice:
                emit("      {:{}}  -> {}".format("", width, check.advice))
        counts = ["{} {}".format(sum(c.status == s for c in checks), s) for s in ("ok", "info", "warn", "fail")]
        emit("\n" + ", ".join(counts))
        first = next((check for check in failed + warned if check.advice), None)
        if first is not None:
            emit("next: {}: {}".format(first.name, first.advice))
    return EXIT_FAILED if failed else EXIT_OK


def _selftest(args: argparse.Namespace) -> int:
    from ..diagnosis import selftest

    outcomes = selftest.run(args.networks or None, args.board)
    wrong = any(outcome.wrong for outcome in outcomes)
    ok = bool(outcomes) and all(outcome.ok for outcome in outcomes)
    if args.json:
        emit_json({"ok": ok, "outcomes": [outcome.as_dict() for outcome in outcomes]})
    else:
        rows = [(o.network, o.board, o.mode, o.pictures, o.result, "{:.2f} s".format(o.seconds)) for o in outcomes]
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
