"""Boards: the contract, the emulated board, the simulated board, and the FPGA of a PYNQ-Z1/Z2."""
from __future__ import annotations

import logging
from typing import Any

from ..contracts.board import Board
from ..errors import InputError

__all__ = ["Board", "emulates", "open_board"]

_log = logging.getLogger(__name__)


def emulates(board: Any) -> bool:
    """Whether `open_board(board)` gives an emulated board; nothing is opened for that."""
    if isinstance(board, Board):
        return board.kind == "emulated"
    if board is None or board == "auto":
        from .zynq.device import fpga_present

        return not fpga_present()
    return bool(board == "emulated")


def open_board(board: None | str | Board = None, **options: Any) -> Board:
    """The board to work on.

    Parameters
    ----------
    board : None, "auto", "emulated", "rtl", "zynq" or a Board
        None and "auto" take the FPGA if this machine has one, else the emulated board. An FPGA
        that is there but unusable is an error, never a silent emulation. A process has one board
        for its FPGA: opening it again gives the same, and it closes with its last user.
        "rtl" simulates the circuit's own Verilog, cycle by cycle; it needs Verilator and a C++ compiler.
    **options
        Passed to EmulatedBoard, RtlBoard or ZynqBoard.

    Raises
    ------
    BoardUnavailableError
        No usable FPGA, with the cause and the remedy.
    BoardBusyError
        The FPGA belongs to another process.
    MissingDependencyError
        No Verilator or no C++ compiler for "rtl"; says what to install.
    InputError
        Another value of `board`, or options beside an open one.
    """
    if isinstance(board, Board):
        if options:
            raise InputError("options {} go with the name of a board, not with an open one: give them where it is "
                             "opened".format(", ".join(sorted(options))))
        board.check_open()
        return board
    if board is not None and (not isinstance(board, str) or board not in ("auto", "emulated", "rtl", "zynq")):
        raise InputError(f"board {board!r}: expected None, 'auto', 'emulated', 'rtl', 'zynq' or a Board "
                         "(and for a Classifier also 'cpu')")
    if board == "rtl":
        from .rtl.board import RtlBoard

        return RtlBoard(**options)
    if board != "emulated":
        from .zynq.device import fpga_present

        if board == "zynq" or fpga_present():
            from .zynq.board import ZynqBoard
            from .zynq.shared import shared_board

            real = ZynqBoard(**options) if options else shared_board()
            _log.info("using the FPGA of %s", real.name)
            return real
        _log.info("no FPGA on this machine: using the emulated board")
    from .emulated import EmulatedBoard

    return EmulatedBoard(**options)
