"""The engine that the package ships, in the simulated board: it compiles, says its size, and moves words."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest
from simulated import need_tools

from qnn_pynq.boards import open_board
from qnn_pynq.catalogue import overlays
from qnn_pynq.contracts.overlay import Ip, Overlay, Rtl

pytestmark = pytest.mark.slow  # a minute of compiling

PE, VECTORS = 4, 2
MAGIC, CAPS0, CONTROL, STATUS, IRQ_ENABLE, IRQ_STATUS, GROUPS, REGIONS, PROGRAM = (
    0x00, 0x0C, 0x1C, 0x20, 0x24, 0x28, 0x2C, 0x50, 0x4000)
INPUT, OUTPUT = 1, 2


@pytest.fixture(scope="module", params=["steady", "hostile"])
def board(request: Any, tmp_path_factory: Any) -> Iterator[Any]:
    need_tools()
    sources = overlays()["bnn-pynq-lfc-w1a1"].parent / "engine" / "rtl"  # in the package or in the checkout
    ip = Ip("engine_0", "qnn-pynq:rtl:engine:1.0", 0x43C00000, 0x10000, "engine_0/irq")
    rtl = Rtl("engine", sources, {"P": PE, "V": VECTORS, "BLOCKS": 1})
    with open_board("rtl", stalls=request.param, seed=11) as opened:
        opened.configure(Overlay("engine", "engine", "engine", ("Pynq-Z1",), ip, 100.0, {}, {}, {}, {}, {}, Path("."),
                                 rtl=rtl))
        yield opened


def test_its_registers_say_what_was_compiled(board: Any) -> None:
    registers = board.ip("engine_0")
    assert registers.read(MAGIC) == 0x514E4E45
    assert registers.read(CAPS0) == PE | VECTORS << 8 | 64 << 16 | 24 << 24


@pytest.mark.parametrize("words", [1, 8, 33])
def test_it_loads_and_stores_words_of_every_vector(board: Any, words: int) -> None:
    registers, given = board.ip("engine_0"), np.random.RandomState(words).randint(0, 1 << 62, words * VECTORS)
    program = [
        2 | 2 << 16 | INPUT << 18 | 100 << 20, (words * VECTORS - 1) | 15 << 32,  # LOAD activations to word 100
        3 | 1 << 6 | OUTPUT << 18 | 100 << 20, (words - 1) | 15 << 32,  # STORE, once that is complete
        1,  # END
    ]
    with board.allocate(given.shape, np.uint64) as source, board.allocate(given.shape, np.uint64) as target:
        source.array[:] = given
        source.flush()
        for region, buffer in ((INPUT, source), (OUTPUT, target)):
            for at, value in enumerate((buffer.device_address, buffer.nbytes, 0)):
                registers.write(REGIONS + 16 * region + 4 * at, value)
        for at, word in enumerate(program):
            registers.write(PROGRAM + 8 * at, word & 0xFFFFFFFF)
            registers.write(PROGRAM + 8 * at + 4, word >> 32)
        registers.write(GROUPS, 1)
        registers.write(IRQ_ENABLE, 1)
        registers.write(CONTROL, 1)
        assert board.wait("engine_0", (STATUS, 2), 1e-3)
        assert board.interrupt and board.traffic.reading == board.traffic.writing == 0
        registers.write(IRQ_STATUS, 3)
        board.run(10)
        assert not board.interrupt
        target.invalidate()
        assert np.array_equal(target.array, given.astype(np.uint64))
