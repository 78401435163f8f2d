"""`bringup`: the first hour of an engine on a board."""

from __future__ import annotations

import argparse
from typing import Any

from .output import EXIT_FAILED, EXIT_OK, Failure, complain, emit, emit_json

__all__ = ["add_parsers"]

_DESCRIPTION = """\
Try our own circuit on a board, step by step: the machine, the bitstream, registers, counters, one word by DMA,
patterns through every block RAM, the known answers of every network, clocks, sensors, a soak. Each step says what it
proves, and what to do if it fails; one that fails stops those that depend on it, the others run. --list shows
them without a board.

The result is one zip file for whoever wants to help: versions, what the doctor says, every step's result, and
recordings of what driver and board said to each other. It is written anew before each step, so that it names
the one in which a board stopped; Ctrl-C ends with it, too. It holds no user or host name, and no path of your home.

Exit code 1 if a step failed. Emulated and simulated boards have no clock and no power: those steps say so.
"""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "bringup",
        parents=[common],
        help="the first hour of our circuit on a board, as a guided script",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  qnn-pynq bringup --board zynq --output first-hour.zip\n  qnn-pynq bringup --list",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="zip file to write, a new one")
    parser.add_argument(
        "--board",
        choices=("auto", "emulated", "rtl", "zynq"),
        default="auto",
        help="auto: the FPGA if there is one, else the emulated board; rtl: the overlay's Verilog, simulated "
        "(default: %(default)s)",
    )
    parser.add_argument("--overlay", default="engine-z7020-32x2", metavar="OVERLAY", help="default: %(default)s")
    parser.add_argument(
        "-n",
        "--network",
        action="append",
        metavar="NETWORK",
        help="name or folder; may be given again (default: all that the overlay computes)",
    )
    parser.add_argument(
        "--soak",
        type=_seconds,
        metavar="SECONDS",
        help="length of the soak (default: 180, on an emulated or simulated board 5)",
    )
    parser.add_argument("--list", action="store_true", help="show the steps, and touch nothing")
    parser.set_defaults(run=_bringup)


def _seconds(text: str) -> float:
    """argparse type."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to 86400")
    return value


def _bringup(args: argparse.Namespace) -> int:
    from ..boards import open_board
    from ..catalogue import find_overlay
    from ..diagnosis.bringup.report import check_file
    from ..diagnosis.bringup.run import SOAK, bring_up, networks_for
    from ..diagnosis.bringup.steps import list_steps

    overlay = find_overlay(args.overlay)
    if args.list:
        steps = list_steps(overlay, networks_for(overlay, args.network), SOAK if args.soak is None else args.soak)
        if args.json:
            emit_json({"steps": [{"name": one.name, "proves": one.proves, "remedy": one.remedy, "needs": one.needs}
                                 for one in steps]})
            return EXIT_OK
        for number, step in enumerate(steps):
            emit(f"{number + 1:2}  {step.name}\n    proves: {step.proves}\n    if it fails: {step.remedy}")
        return EXIT_OK
    if args.output is None:
        raise Failure("no file to write: give one with --output, such as --output first-hour.zip")
    path = check_file(args.output)
    networks = None if args.network is None else networks_for(overlay, args.network)
    with open_board(args.board) as board:
        try:
            report = bring_up(board, overlay, path, networks, args.soak, _watcher(args.json))
        except KeyboardInterrupt:
            if path.exists():
                complain("warning", f"broken off: {path} has what was found up to here")
            raise
    if args.json:
        emit_json({"file": path, **report.as_dict()})
    else:
        emit()
        for result in report.failed:
            emit(f"{result.name} failed: {result.text}\n  -> {result.remedy}")
        emit("all is well" if report.ok else "not all is well")
        emit(f"{path}: send it to whoever should know (it has no names and no paths of yours)")
    return EXIT_OK if report.ok else EXIT_FAILED


def _watcher(silent: bool) -> Any:
    from ..diagnosis.bringup.run import Watcher
    from ..files.progress import Progress

    class Shown(Watcher):
        """Steps on standard output, bars on the terminal."""

        bar: Progress | None = None
        done = 0

        def begun(self, step: Any, number: int, count: int) -> None:
            emit(f"[{number + 1:2}/{count}] {step.name}: {step.proves}")

        def progress(self, step: Any, done: int, total: int) -> None:
            if self.bar is None:
                self.bar, self.done = Progress(step.name, total, 0, True, "parts"), 0
            self.bar.step(done - self.done)
            self.done = done

        def ended(self, step: Any, result: Any) -> None:
            if self.bar is not None:
                self.bar.__exit__()
                self.bar = None
            emit(f"        {result.state}, {result.seconds:.1f} s: {result.text}")

    return Watcher() if silent else Shown()
