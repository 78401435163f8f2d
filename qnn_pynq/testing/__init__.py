"""For authors of overlay families and layer types: the contracts, and the tests that a family must pass.

`Family`, `Driver` and `Twin` are what a family consists of, `Layer` and `Kernel` a layer type; the other names are
what these take and give. `FamilyContract` is a pytest suite: a subclass in your tests names your overlay and two
networks, and its tests are yours. It alone needs pytest, when it is asked for.

docs/families.md has an example.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what __getattr__ gives, for who reads types
    from ..boards.emulated import EmulatedBoard
    from ..contracts.board import Board, Buffer, Registers
    from ..contracts.clock import Clock, RealClock, VirtualClock
    from ..contracts.driver import Driver, LayerProfile, Limits, Port, Split, Timing
    from ..contracts.families import Family, check_cycle_model, driver_class, kinds, twin_class
    from ..contracts.layer import ArrayWriter, Kernel, Layer, Refuse, Signal
    from ..contracts.network import Decode, Encoding, InputSpec, Network
    from ..contracts.overlay import Ip, Overlay, OverlayFile
    from ..contracts.program import PROGRAM_DTYPE, WAIT, WRITE, make_program
    from ..contracts.twin import Memory, Twin
    from ..families.blocks.hls_control import PolledDriver
    from ..families.blocks.hls_control_twin import ControlTwin
    from ..faults import Fault, FaultPlan
    from ..files.fields import Fields
    from ..files.npyfile import read_array
    from ..overlay import load_overlay
    from .contract import FamilyContract
    from .watched import WatchedBoard

_HOME = {
    "boards.emulated": ("EmulatedBoard",),
    "contracts.board": ("Board", "Buffer", "Registers"),
    "contracts.clock": ("Clock", "RealClock", "VirtualClock"),
    "contracts.driver": ("Driver", "LayerProfile", "Limits", "Port", "Split", "Timing"),
    "contracts.families": ("Family", "check_cycle_model", "driver_class", "kinds", "twin_class"),
    "contracts.layer": ("ArrayWriter", "Kernel", "Layer", "Refuse", "Signal"),
    "contracts.network": ("Decode", "Encoding", "InputSpec", "Network"),
    "contracts.overlay": ("Ip", "Overlay", "OverlayFile"),
    "contracts.program": ("PROGRAM_DTYPE", "WAIT", "WRITE", "make_program"),
    "contracts.twin": ("Memory", "Twin"),
    "families.blocks.hls_control": ("PolledDriver",),
    "families.blocks.hls_control_twin": ("ControlTwin",),
    "faults": ("Fault", "FaultPlan"),
    "files.fields": ("Fields",),
    "files.npyfile": ("read_array",),
    "overlay": ("load_overlay",),
    "testing.contract": ("FamilyContract",),
    "testing.watched": ("WatchedBoard",),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}
__all__ = [
    "PROGRAM_DTYPE",
    "WAIT",
    "WRITE",
    "ArrayWriter",
    "Board",
    "Buffer",
    "Clock",
    "ControlTwin",
    "Decode",
    "Driver",
    "EmulatedBoard",
    "Encoding",
    "Family",
    "FamilyContract",
    "Fault",
    "FaultPlan",
    "Fields",
    "InputSpec",
    "Ip",
    "Kernel",
    "Layer",
    "LayerProfile",
    "Limits",
    "Memory",
    "Network",
    "Overlay",
    "OverlayFile",
    "PolledDriver",
    "Port",
    "RealClock",
    "Refuse",
    "Registers",
    "Signal",
    "Split",
    "Timing",
    "Twin",
    "VirtualClock",
    "WatchedBoard",
    "check_cycle_model",
    "driver_class",
    "kinds",
    "load_overlay",
    "make_program",
    "read_array",
    "twin_class",
]


def __getattr__(name: str) -> Any:
    # Lazy: a family's driver runs on boards, where there is no pytest and every import counts.
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    package = __name__.rpartition(".")[0]
    return getattr(import_module(f"{package}.{_MODULE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
