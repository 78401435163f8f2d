"""The command `qnn-pynq`: argument parsing, errors and exit codes.

Each command is a module beside this one, of its name (`import_` for `import`). Those modules import numpy, the
boards and the rest only when they run, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import traceback
import warnings
from typing import Any, Iterator, Sequence

from .._version import __version__
from . import (
    benchmark,
    bringup,
    classify,
    doctor,
    evaluate,
    import_,
    interface,
    networks,
    overlays,
    profile,
    record,
    replay,
    selftest,
    train,
)
from .output import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    EXIT_USER,
    Failure,
    complain,
    emit_json,
    escaped,
)

__all__ = ["build_parser", "main"]

# In the order of `--help`.
_COMMANDS = (
    classify, evaluate, benchmark, profile, networks, overlays, import_, train, interface, doctor, selftest, bringup,
    record, replay,
)

_EPILOG = f"""\
examples:
  qnn-pynq classify --demo                      the pictures that come with the package
  qnn-pynq classify boot.png -n lfc-w1a1-fashion-mnist
  qnn-pynq evaluate lfc-w1a1-mnist              accuracy on the test set
  qnn-pynq train lfc my-pictures -o my-network  a network of your own
  qnn-pynq doctor                               what this machine lacks

exit codes:
  {EXIT_OK}    done
  {EXIT_FAILED}    it ran, and the result is bad: wrong known answers, a failed check, a defect
  {EXIT_USAGE}    wrong usage
  {EXIT_USER}    something that you can put right: a picture, a file, a name, the board
  {EXIT_INTERRUPTED}  interrupted with Ctrl-C
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="qnn-pynq",
        description="Classify pictures with quantised neural networks: on the FPGA of a PYNQ board, or\n"
        "bit for bit the same on the emulated board of any Linux machine.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"qnn-pynq {__version__}")
    _add_common(parser, top=True)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    common = argparse.ArgumentParser(add_help=False)
    _add_common(common, top=False)
    for module in _COMMANDS:
        module.add_parsers(commands, common)
    return parser


def _add_common(parser: argparse.ArgumentParser, top: bool) -> None:
    """Options that may stand before or after the subcommand."""
    group = parser.add_argument_group("common options")
    quiet: Any = argparse.SUPPRESS
    group.add_argument(
        "--json",
        action="store_true",
        default=False if top else quiet,
        help="print the result as one JSON object on standard output",
    )
    group.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0 if top else quiet,
        help="say what happens (twice: every detail)",
    )
    group.add_argument(
        "--debug", action="store_true", default=False if top else quiet, help="show the traceback of an error"
    )


@contextlib.contextmanager
def _messages(verbosity: int) -> Iterator[None]:
    """Log records and warnings as single lines on standard error, for the time of one command."""
    logger = logging.getLogger("qnn_pynq")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = lambda message, *rest, **more: complain("warning", str(message))
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"qnn-pynq: {record.levelname.lower()}: {escaped(record.getMessage())}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        Exit code: 0 done, 1 bad result or defect, 2 usage, 3 an error that the user can put right, 130
        Ctrl-C.
    """
    try:
        code = _run(argv)
        print(end="", flush=True)  # what is still buffered must not raise at exit
        return code
    except KeyboardInterrupt:
        complain("error", "interrupted")
        return EXIT_INTERRUPTED
    except OSError as error:  # of standard output; others were reported
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # whoever read us has gone (`| head`)
            return 128 + signal.SIGPIPE
        complain("error", f"standard output cannot be written: {error.strerror}")
        return EXIT_USER


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    run = getattr(args, "run", None)
    if run is None:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    with _messages(args.verbose):
        try:
            return int(run(args))
        except BrokenPipeError:
            raise
        except Exception as error:
            return _report(error, args)


def _report(error: Exception, args: argparse.Namespace) -> int:
    """The message on standard error (and the error as JSON where JSON was asked for); returns the exit code."""
    from ..errors import BoardUnavailableError, QnnError

    if args.debug:
        traceback.print_exc()
    text, kind = str(error).strip(), type(error).__name__
    if isinstance(error, Failure):
        code = error.code
    elif isinstance(error, QnnError):
        code = EXIT_USER
    elif isinstance(error, OSError):
        code = EXIT_USER
        what = "a file" if error.filename is None else error.filename
        problem = "{} cannot be read or written: {}; look at the path, its permissions and the room on the disk"
        text = problem.format(what, error.strerror or text)
    elif isinstance(error, MemoryError):
        code = EXIT_USER
        text = f"not enough memory ({text or kind}): give it fewer or smaller pictures at a time"
    else:
        code = EXIT_FAILED
        text = f"{kind}: {text} (a defect: run it again with --debug and report what it prints)"
    if isinstance(error, BoardUnavailableError) and hasattr(args, "board"):
        text += "; --board emulated needs neither the FPGA nor root"
    # Our own messages may list, line by line, which file to put where.
    complain("error", text or kind, keep_lines=isinstance(error, QnnError))
    if args.json:
        emit_json({"error": {"kind": kind, "message": text or kind, "exit_code": code}})
    return code
