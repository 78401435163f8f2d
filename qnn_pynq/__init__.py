"""Quantised neural networks on PYNQ boards, and bit for bit the same without one.

Everything that a program needs is here, and documented in docs/guide.md; what lies deeper may move.

Pictures to labels
    `Classifier`, its answers `Prediction`, `Evaluation` and `Profile`; pictures for it: `prepare`, `frames` of a
    video, `find_test_set`, and `demo.pictures`.
Networks
    `find_network` by name, `load_network` and `save_network` by folder, which give and take a `Network`.
Boards
    `open_board`, and the kinds that need no FPGA: `EmulatedBoard` and `ReplayBoard`, each a `Board`.
When the hardware does wrong
    `Policy`, `Recovery`; faults to try it with: `FaultPlan` and `Fault`.
Circuits with streams
    `StreamOverlay`, `parse_type`.
What went wrong
    `errors`, of which `QnnError` is the base; `doctor.examine`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:  # what __getattr__ gives, for who reads types
    from . import demo, errors
    from .boards import open_board
    from .boards.emulated import EmulatedBoard
    from .catalogue import find_network
    from .classifier.classifier import Classifier
    from .classifier.profile import Profile
    from .classifier.results import Evaluation, Prediction
    from .contracts.board import Board
    from .contracts.network import Network
    from .datasets.testsets import find_test_set
    from .diagnosis import doctor
    from .diagnosis.replay import ReplayBoard
    from .errors import QnnError
    from .faults import Fault, FaultPlan
    from .networks.store import load_network, save_network
    from .pictures.prepare import prepare
    from .pictures.video import frames
    from .reliability.policy import Policy
    from .reliability.report import Recovery
    from .streams.overlay import StreamOverlay
    from .streams.types import parse_type

__all__ = [
    "Board",
    "Classifier",
    "EmulatedBoard",
    "Evaluation",
    "Fault",
    "FaultPlan",
    "Network",
    "Policy",
    "Prediction",
    "Profile",
    "QnnError",
    "Recovery",
    "ReplayBoard",
    "StreamOverlay",
    "__version__",
    "demo",
    "doctor",
    "errors",
    "find_network",
    "find_test_set",
    "frames",
    "load_network",
    "open_board",
    "parse_type",
    "prepare",
    "save_network",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())

_HOME = {
    "Board": "contracts.board",
    "Classifier": "classifier.classifier",
    "EmulatedBoard": "boards.emulated",
    "Evaluation": "classifier.results",
    "Fault": "faults",
    "FaultPlan": "faults",
    "Network": "contracts.network",
    "Policy": "reliability.policy",
    "Prediction": "classifier.results",
    "Profile": "classifier.profile",
    "QnnError": "errors",
    "Recovery": "reliability.report",
    "ReplayBoard": "diagnosis.replay",
    "StreamOverlay": "streams.overlay",
    "demo": "",  # modules: the package that they are of
    "doctor": "diagnosis",
    "errors": "",
    "find_network": "catalogue",
    "find_test_set": "datasets.testsets",
    "frames": "pictures.video",
    "load_network": "networks.store",
    "open_board": "boards",
    "parse_type": "streams.types",
    "prepare": "pictures.prepare",
    "save_network": "networks.store",
}
_MODULES = ("demo", "doctor", "errors")


def __getattr__(name: str) -> Any:
    # Lazy, so that `qnn-pynq --help` does not pay for numpy and the C extension.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = ".".join(filter(None, (__name__, _HOME[name])))
    return import_module(home + "." + name) if name in _MODULES else getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
