"""The file of a first hour: a zip of the report, for people and for programs, and of recordings."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Mapping

from ...errors import InputError
from ...files.replacing import replacing
from .hour import FAILED, LIMIT, OK

__all__ = ["BEGUN", "INTERRUPTED", "NOT_RUN", "SKIPPED", "Report", "Result", "check_file", "write_file"]

SKIPPED = "skipped"  # for want of a step before it
BEGUN = "begun"  # how a file shows the step in which the board stopped
INTERRUPTED, NOT_RUN = "interrupted", "not run"


@dataclass
class Result:
    """What became of a step.

    Attributes
    ----------
    name, proves, remedy : str
    state : str
        "ok", "failed", "not here", "limit", "skipped", "begun", "interrupted" or "not run".
    text : str
    seconds : float
    details : dict
    """

    name: str
    proves: str
    remedy: str
    state: str = NOT_RUN
    text: str = ""
    seconds: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Report:
    """All of an hour.

    Attributes
    ----------
    about : dict
        Versions, board and overlay.
    results : list of Result
    """

    about: dict[str, Any]
    results: list[Result]

    @property
    def failed(self) -> list[Result]:
        return [result for result in self.results if result.state == FAILED]

    @property
    def ok(self) -> bool:
        """Nothing failed, and nothing was left out that could have been tried."""
        return all(result.state not in (FAILED, SKIPPED, BEGUN, INTERRUPTED, NOT_RUN) for result in self.results)

    def as_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {"format": "qnn-pynq-bringup", "version": 1, **self.about, "ok": self.ok,
                "steps": [asdict(result) for result in self.results]}

    def as_text(self) -> str:
        """For people."""
        name, board, package = self.about["overlay"]["name"], self.about["board"], self.about["package"]
        lines = [f"the first hour of {name} on {board}, by qnn-pynq {package}", ""]
        for result in self.results:
            lines.append(f"{result.state:12}{result.name} ({result.seconds:.1f} s): {result.text}")
            lines.append(f"{'':12}proves: {result.proves}")
            if result.state not in (OK, NOT_RUN):
                lines.append(f"{'':12}to do: {result.remedy}")
        limits = [result.name for result in self.results if result.state == LIMIT]
        lines += ["", "all is well" if self.ok else "not all is well: see above"]
        if limits:
            lines.append(f"beyond its limits: {', '.join(limits)}")
        return "\n".join(lines) + "\n"


def check_file(path: str | os.PathLike[str]) -> Path:
    """A path that a report can be written to; InputError else. What is there stays: it may be all of an earlier try."""
    target = Path(path)
    if os.path.lexists(str(target)):
        raise InputError(f"{target} is there already: give another name (an earlier result is worth keeping)")
    if not target.name or not os.path.isdir(str(target.parent)) or not os.access(str(target.parent), os.W_OK):
        raise InputError(f"{target} cannot be written: expected a new file in a folder that you may write to")
    return target


def write_file(path: Path, report: Report, recordings: Mapping[str, bytes]) -> None:
    """Whole or not at all, and on the disk when this returns."""
    text = json.dumps(report.as_dict(), indent=1, default=str)
    with replacing(path) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.json", _anonymous(text))
        archive.writestr("report.txt", _anonymous(report.as_text()))
        for name, content in recordings.items():
            archive.writestr(f"recordings/{name}", content, zipfile.ZIP_STORED)  # packed already


def _anonymous(text: str) -> str:
    """Messages name files, and those lie in somebody's home."""
    home = os.path.expanduser("~")
    return text.replace(home, "~") if len(home) > 1 else text
