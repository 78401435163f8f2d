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
    from ..contracts.board import Board, Buffer, Registers, close_all
    from ..contracts.clock import Clock, RealClock, VirtualClock
    from ..contracts.driver import Driver, LayerPlan, LayerProfile, Limits, Port, Split, Timing
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
    from ..files.npyfile import ArrayFolder
    from ..overlay import load_overlay
    from .contract import FamilyContract
    from .watched import WatchedBoard

_HOME = {
    "ArrayFolder": "qnn_pynq.files.npyfile",
    "ArrayWriter": "qnn_pynq.contracts.layer",
    "Board": "qnn_pynq.contracts.board",
    "Buffer": "qnn_pynq.contracts.board",
    "Clock": "qnn_pynq.contracts.clock",
    "ControlTwin": "qnn_pynq.families.blocks.hls_control_twin",
    "Decode": "qnn_pynq.contracts.network",
    "Driver": "qnn_pynq.contracts.driver",
    "EmulatedBoard": "qnn_pynq.boards.emulated",
    "Encoding": "qnn_pynq.contracts.network",
    "Family": "qnn_pynq.contracts.families",
    "FamilyContract": "qnn_pynq.testing.contract",
    "Fault": "qnn_pynq.faults",
    "FaultPlan": "qnn_pynq.faults",
    "Fields": "qnn_pynq.files.fields",
    "InputSpec": "qnn_pynq.contracts.network",
    "Ip": "qnn_pynq.contracts.overlay",
    "Kernel": "qnn_pynq.contracts.layer",
    "Layer": "qnn_pynq.contracts.layer",
    "LayerPlan": "qnn_pynq.contracts.driver",
    "LayerProfile": "qnn_pynq.contracts.driver",
    "Limits": "qnn_pynq.contracts.driver",
    "Memory": "qnn_pynq.contracts.twin",
    "Network": "qnn_pynq.contracts.network",
    "Overlay": "qnn_pynq.contracts.overlay",
    "OverlayFile": "qnn_pynq.contracts.overlay",
    "PROGRAM_DTYPE": "qnn_pynq.contracts.program",
    "PolledDriver": "qnn_pynq.families.blocks.hls_control",
    "Port": "qnn_pynq.contracts.driver",
    "RealClock": "qnn_pynq.contracts.clock",
    "Refuse": "qnn_pynq.contracts.layer",
    "Registers": "qnn_pynq.contracts.board",
    "Signal": "qnn_pynq.contracts.layer",
    "Split": "qnn_pynq.contracts.driver",
    "Timing": "qnn_pynq.contracts.driver",
    "Twin": "qnn_pynq.contracts.twin",
    "VirtualClock": "qnn_pynq.contracts.clock",
    "WAIT": "qnn_pynq.contracts.program",
    "WRITE": "qnn_pynq.contracts.program",
    "WatchedBoard": "qnn_pynq.testing.watched",
    "check_cycle_model": "qnn_pynq.contracts.families",
    "close_all": "qnn_pynq.contracts.board",
    "driver_class": "qnn_pynq.contracts.families",
    "kinds": "qnn_pynq.contracts.families",
    "load_overlay": "qnn_pynq.overlay",
    "make_program": "qnn_pynq.contracts.program",
    "twin_class": "qnn_pynq.contracts.families",
}
__all__ = [
    "PROGRAM_DTYPE",
    "WAIT",
    "WRITE",
    "ArrayFolder",
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
    "LayerPlan",
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
    "close_all",
    "driver_class",
    "kinds",
    "load_overlay",
    "make_program",
    "twin_class",
]


def __getattr__(name: str) -> Any:
    # Lazy: a family's driver runs on boards, where there is no pytest and every import counts.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
