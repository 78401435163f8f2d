"""A small circuit for the simulated board: it copies words (copier/engine.v has its registers)."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qnn_pynq.boards.rtl.build import check_tools
from qnn_pynq.contracts.overlay import Ip, Overlay, Rtl
from qnn_pynq.errors import MissingDependencyError

COPIER = Path(__file__).resolve().parent / "copier"
MAGIC, SCRATCH, FROM, TO, WORDS, START, STATUS, ENABLE, MISTAKE, SIZES, SILENT = range(0, 0x2C, 4)
BUSY, DONE, READ_FAILED, WRITE_FAILED = 1, 2, 4, 8
NAME = "copier_0"


def need_tools() -> None:
    """Skip where there is nothing to compile Verilog with, which in CI there must be."""
    try:
        check_tools()
    except MissingDependencyError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def copier(sources: Path = COPIER, interrupt: str | None = "copier_0/irq", clock_mhz: float = 100.0,
           **parameters: int) -> Overlay:
    ip = Ip(NAME, "test:test:copier:1.0", 0x43C00000, 0x10000, interrupt)
    return Overlay(name="copier", title="copier", kind="copier", boards=("Pynq-Z1",), ip=ip, clock_mhz=clock_mhz,
                   files={}, geometry={}, timing={}, verified={}, home={}, path=sources,
                   rtl=Rtl("engine", sources, parameters))


def start_copy(board: Any, words: np.ndarray, mistake: int = 0) -> Any:
    """Starts a copy of 64-bit words: (from, to), the buffers."""
    source, target = board.allocate(words.shape, np.uint64), board.allocate(words.shape, np.uint64)
    source.array[:] = words
    source.flush()
    registers = board.ip(NAME)
    for offset, value in ((FROM, source.device_address), (TO, target.device_address), (WORDS, words.size),
                          (ENABLE, 1), (MISTAKE, mistake), (START, 1)):
        registers.write(offset, value)
    return source, target


def copied(board: Any, words: np.ndarray, timeout: float = 1e-3) -> np.ndarray:
    """What a copy of the words gives."""
    source, target = start_copy(board, words)
    with source, target:
        board.wait(NAME, (STATUS, DONE), timeout)
        target.invalidate()
        return target.array.copy()


def some_words(count: int, seed: int = 1) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 1 << 62, count).astype(np.uint64)
