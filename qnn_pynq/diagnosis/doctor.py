"""What this machine offers, and what to do about what it lacks.

Every check is a small function that returns a `Check`; `examine` runs them all and never raises.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Callable, Mapping

from .board import BOARD_CHECKS
from .host import Check, Host
from .overlays import OVERLAY_CHECKS
from .pynq import PYNQ_CHECKS
from .software import SOFTWARE_CHECKS

__all__ = ["CHECKS", "Check", "Host", "examine"]

_log = logging.getLogger(__name__)

CHECKS: tuple[Callable[[Host], Check], ...] = SOFTWARE_CHECKS + OVERLAY_CHECKS + PYNQ_CHECKS + BOARD_CHECKS


def examine(root: str | Path = "/", environ: Mapping[str, str] | None = None) -> list[Check]:
    """Run every check.

    Parameters
    ----------
    root : str or Path
        Folder that stands for `/` where `/proc` and `/sys` are read.
    environ : mapping, optional
        Environment variables; those of this process by default.

    Returns
    -------
    list of Check
        In the order in which they should be read. A check that breaks is itself a "fail".
    """
    host = Host(root, environ)
    results = []
    for check in CHECKS:
        try:
            results.append(check(host))
        except Exception as error:
            _log.debug("%s broke", check.__name__, exc_info=True)
            results.append(
                Check(
                    check.__name__[len("check_") :].replace("_", " "),
                    "fail",
                    f"{type(error).__name__}: {error}",
                    "please report this",
                )
            )
    return results
