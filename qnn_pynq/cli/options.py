"""Options that several commands have, and what is checked of them."""

from __future__ import annotations

import argparse
from typing import Any

from .output import Failure

__all__ = ["MOST_BYTES", "add_board", "check_batch", "positive"]

MOST_BYTES = 1 << 30  # of one batch of pictures
_BOARDS = ("auto", "emulated", "rtl", "zynq", "cpu")


def add_board(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--board",
        choices=_BOARDS,
        default="auto",
        help="auto: the FPGA if there is one, else the emulated board; rtl: the overlay's Verilog, "
        "simulated; cpu: the kernels alone, without an overlay (default: %(default)s)",
    )


def check_batch(spec: Any, pictures: int) -> None:
    """Refuse a batch of more pictures than memory should be asked for."""
    most = MOST_BYTES // spec.pixels
    if pictures > most:
        text = "--pictures {}: pictures of {} bytes, of which one batch should have at most {}: give fewer"
        raise Failure(text.format(pictures, spec.pixels, most))


def positive(text: str) -> int:
    """argparse type: an integer above 0."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no integer above 0")
    return value
