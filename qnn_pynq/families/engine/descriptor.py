"""What overlay.json says of an engine."""

from __future__ import annotations

from ...contracts.families import check_cycle_model
from ...files.fields import Fields

__all__ = ["check"]

_BLOCK = 512  # words of a block RAM
_MOST_POINTERS = 4096


def check(geometry: Fields, timing: Fields) -> None:
    """Refuse what describes no engine: what its register map, its instructions and its memories cannot be."""
    geometry.take("pe", "integer", allowed=(4, 8, 16, 32))
    geometry.integer("vectors", 1, 16)
    geometry.take("lanes", "integer", allowed=(64,))
    geometry.take("accumulator_bits", "integer", allowed=(24,))
    geometry.take("program_words", "integer", allowed=(1024,))
    geometry.integer("weight_words", _BLOCK, 2048)
    geometry.integer("threshold_words", 1, _BLOCK)
    words = geometry.integer("bank_words", _BLOCK, _MOST_POINTERS)
    if words % _BLOCK:
        geometry.fail("bank_words", f"{words} words are no whole block RAMs: expected a multiple of {_BLOCK}")
    geometry.done()
    check_cycle_model(timing, ("write_access_ns", "read_access_ns"))  # what a run takes follows from its program
