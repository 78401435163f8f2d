"""What overlay.json says of this circuit."""

from __future__ import annotations

from qnn_pynq.testing import Fields, check_cycle_model

__all__ = ["check"]


def check(geometry: Fields, timing: Fields) -> None:
    """Refuse what describes no circuit of this family."""
    geometry.pair("picture", 64)
    geometry.integer("templates", 1, 256)
    geometry.integer("images", 1, 1 << 16)
    geometry.done()
    check_cycle_model(timing, ("setup_cycles", "cycles_per_template", "access_ns"))
