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
    "Board": "qnn_pynq.contracts.board:Board",
    "Classifier": "qnn_pynq.classifier.classifier:Classifier",
    "EmulatedBoard": "qnn_pynq.boards.emulated:EmulatedBoard",
    "Evaluation": "qnn_pynq.classifier.results:Evaluation",
    "Fault": "qnn_pynq.faults:Fault",
    "FaultPlan": "qnn_pynq.faults:FaultPlan",
    "Network": "qnn_pynq.contracts.network:Network",
    "Policy": "qnn_pynq.reliability.policy:Policy",
    "Prediction": "qnn_pynq.classifier.results:Prediction",
    "Profile": "qnn_pynq.classifier.profile:Profile",
    "QnnError": "qnn_pynq.errors:QnnError",
    "Recovery": "qnn_pynq.reliability.report:Recovery",
    "ReplayBoard": "qnn_pynq.diagnosis.replay:ReplayBoard",
    "StreamOverlay": "qnn_pynq.streams.overlay:StreamOverlay",
    "demo": "qnn_pynq.demo",
    "doctor": "qnn_pynq.diagnosis.doctor",
    "errors": "qnn_pynq.errors",
    "find_network": "qnn_pynq.catalogue:find_network",
    "find_test_set": "qnn_pynq.datasets.testsets:find_test_set",
    "frames": "qnn_pynq.pictures.video:frames",
    "load_network": "qnn_pynq.networks.store:load_network",
    "open_board": "qnn_pynq.boards:open_board",
    "parse_type": "qnn_pynq.streams.types:parse_type",
    "prepare": "qnn_pynq.pictures.prepare:prepare",
    "save_network": "qnn_pynq.networks.store:save_network",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that `qnn-pynq --help` does not pay for numpy and the C extension.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home, _, attribute = _HOME[name].partition(":")
    module = import_module(home)
    return getattr(module, attribute) if attribute else module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
