"""Quantised neural networks on PYNQ boards, and bit for bit the same without one."""
from __future__ import annotations

import logging
from typing import Any

from ._version import __version__

__all__ = ["Classifier", "Evaluation", "Prediction", "QnnError", "StreamOverlay", "__version__", "open_board"]

logging.getLogger(__name__).addHandler(logging.NullHandler())

_HOME = {
    "Classifier": "qnn_pynq.classifier.classifier",
    "Evaluation": "qnn_pynq.classifier.results",
    "Prediction": "qnn_pynq.classifier.results",
    "QnnError": "qnn_pynq.errors",
    "StreamOverlay": "qnn_pynq.streams.overlay",
    "open_board": "qnn_pynq.boards",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that `qnn-pynq --help` does not pay for numpy and the C extension.
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(_HOME[name]), name)
    raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
