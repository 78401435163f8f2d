"""`doctor`: what this machine lacks."""

from __future__ import annotations

import argparse
from typing import Any

from .output import EXIT_FAILED, EXIT_OK, emit, emit_json

__all__ = ["add_parsers"]

_DESCRIPTION = """\
Look at Python, the C kernels, pynq, the FPGA, memory, networks and overlays of this machine, and say what
to do about what is missing. Changes nothing, and needs no root.

marks:
  ok    as it should be
  info  neither good nor bad
  warn  something will not work, or be slow
  fail  the library cannot work like this (exit code 1)
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "doctor",
        parents=[common],
        help="what this machine lacks, and what to do about it",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  qnn-pynq doctor --json > machine.json",
    )
    parser.set_defaults(run=_doctor)


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
        counts = [f"{sum(c.status == s for c in checks)} {s}" for s in ("ok", "info", "warn", "fail")]
        emit("\n" + ", ".join(counts))
        first = next((check for check in failed + warned if check.advice), None)
        if first is not None:
            emit(f"next: {first.name}: {first.advice}")
    return EXIT_FAILED if failed else EXIT_OK
