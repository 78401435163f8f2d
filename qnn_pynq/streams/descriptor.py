"""What overlay.json says of a circuit with streams."""

from __future__ import annotations

from ..contracts.families import check_cycle_model
from ..files.fields import Fields
from .reading import read_description

__all__ = ["check"]

_CYCLES = ("cycles_per_image", "first_image_cycles", "write_access_ns", "read_access_ns", "memory_write_cycles")


def check(geometry: Fields, timing: Fields) -> None:
    """The geometry is a description, which is a format of its own; a cycle model may be absent."""
    read_description(geometry.inner("description"))
    geometry.done()
    check_cycle_model(timing, _CYCLES, required=False)
