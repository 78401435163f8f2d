"""Boards with an engine of any size in them, for tests and for the campaign."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from engine_bench.cases import Config

from qnn_pynq.boards import open_board
from qnn_pynq.boards.rtl.build import check_tools
from qnn_pynq.catalogue import overlays as shipped
from qnn_pynq.contracts import overlay as overlays
from qnn_pynq.errors import MissingDependencyError

__all__ = ["engine_board", "engine_overlay", "need_simulator"]

RTL = shipped()["engine-z7020"].parent / "engine" / "rtl"  # in the package or in the checkout


def engine_overlay(config: Config, interrupt: bool = False, netlist: Path | None = None) -> overlays.Overlay:
    """An overlay of an engine that has no bitstream, of any size; of its Verilog, or of a netlist of that size."""
    geometry = {
        "pe": config.P,
        "vectors": config.V,
        "lanes": 64,
        "weight_words": 1536,
        "bank_words": 512 * config.blocks,
        "threshold_words": 512,
        "program_words": 1024,
        "accumulator_bits": 24,
    }
    timing = {"model": True, "source": "tests", "write_access_ns": 100, "read_access_ns": 150}
    ip = overlays.Ip("engine_0", "qnn-pynq:rtl:engine:1.0", 0x43C00000, 0x10000, "engine_0/irq" if interrupt else None)
    sizes = {"P": config.P, "V": config.V, "BLOCKS": config.blocks}
    rtl = overlays.Rtl("engine", netlist, {}) if netlist else overlays.Rtl("engine", RTL, sizes)
    return overlays.Overlay(
        "engine-of-tests",
        "an engine of tests",
        "engine",
        ("Pynq-Z1",),
        ip,
        100.0,
        {},
        geometry,
        timing,
        {},
        {},
        RTL.parent,
        rtl=rtl,
    )


def engine_board(
    kind: str, config: Config, interrupt: bool = False, netlist: Path | None = None, **options: Any
) -> Any:
    """A board, emulated or rtl, with an engine in it."""
    board = open_board(kind, **options)
    board.configure(engine_overlay(config, interrupt, netlist))
    return board


def need_simulator() -> None:
    """Skip where there is nothing to compile Verilog with, which in CI there must be."""
    try:
        check_tools()
    except MissingDependencyError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
