"""The state of a training on disk: written whole or not at all, and never trusted when it is read."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any, Callable

from ..errors import FetchError
from ..files.replacing import replacing
from ._torch import torch

__all__ = ["read_checkpoint", "write_checkpoint"]

_log = logging.getLogger(__name__)


def read_checkpoint(
    path: Path | None, model: Any, optimiser: Any, report: Callable[[str], None], where: Any = None
) -> int:
    """Epochs that the checkpoint has behind it, whose state `model` and `optimiser` take; 0 without one.

    A file that cannot be used, be it cut off, junk or of another training, is named in a warning, and the
    training starts anew: what can be computed again is no reason to stop.
    """
    if path is None or not path.is_file():
        return 0
    before = copy.deepcopy((model.state_dict(), optimiser.state_dict()))
    try:
        # Tensors and plain values only: a checkpoint runs no code.
        state = torch.load(str(path), map_location=where, weights_only=True)
        epoch = state["epoch"]
        if not isinstance(epoch, int) or epoch < 0:
            raise ValueError(f"epoch {epoch!r}")
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
    except Exception as error:  # damaged files raise nearly everything
        _log.warning("%s: no checkpoint of this training (%s): it starts anew", path, type(error).__name__)
        model.load_state_dict(before[0])
        optimiser.load_state_dict(before[1])
        return 0
    report(f"resumed after epoch {epoch}")
    return epoch


def write_checkpoint(path: Path, model: Any, optimiser: Any, epoch: int) -> None:
    """Replace the checkpoint; FetchError where that fails, and the one before stays."""
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "epoch": epoch}
    try:
        with replacing(path) as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:  # torch's own is a RuntimeError
        text = "checkpoint {} cannot be written: {}; make room or take another folder (QNN_PYNQ_CACHE), and start again"
        raise FetchError(text.format(path, getattr(error, "strerror", None) or error)) from error
