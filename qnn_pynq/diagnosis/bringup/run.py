"""Run the first hour: step after step, with the file written anew before each."""

from __future__ import annotations

import logging
import os
import platform
import tempfile
from pathlib import Path
from time import monotonic
from typing import Sequence

import numpy as np

from ... import catalogue
from ..._version import __version__
from ...contracts.board import Board
from ...contracts.network import Network
from ...contracts.overlay import Overlay
from ...engines.parts import plan_parts
from ...errors import InputError, QnnError
from ..host import Host
from ..recorder import RecordingBoard
from ..recording import describe_run
from ..recording_file import Recording, save_recording
from .hour import FAILED, LIMIT, NOT_HERE, OK, Finding, Hour, Step
from .report import BEGUN, INTERRUPTED, SKIPPED, Report, Result, check_file, write_file
from .steps import list_steps

__all__ = ["SOAK", "SOAK_EMULATED", "Watcher", "bring_up", "networks_for"]

_log = logging.getLogger(__name__)
SOAK, SOAK_EMULATED = 180.0, 5.0  # seconds
_SLOW = 20  # times the limits, of a simulated circuit
_FINE = (OK, NOT_HERE)


class Watcher:
    """Told of everything as it happens; this one keeps silent."""

    def begun(self, step: Step, number: int, count: int) -> None:
        """A step begins."""

    def progress(self, step: Step, done: int, total: int) -> None:
        """How far it has come."""

    def ended(self, step: Step, result: Result) -> None:
        """What became of it; also of steps that are skipped."""


def networks_for(overlay: Overlay, names: Sequence[str] | None = None) -> tuple[Network, ...]:
    """Networks that an overlay computes: all that there are, or these.

    Raises
    ------
    NotFoundError, DescriptorError, UnsupportedNetworkError
        For one that was asked for by name.
    """
    found = []
    for name in catalogue.networks() if names is None else dict.fromkeys(names):
        try:
            network = catalogue.find_network(name)
            plan_parts(network, [overlay])
        except QnnError as error:
            if names is not None:
                raise
            _log.debug("%s: not of the bring-up: %s", name, error)
            continue
        found.append(network)
    return tuple(sorted(found, key=lambda network: network.name))


def bring_up(
    board: Board, overlay: Overlay, path: str | os.PathLike[str], networks: Sequence[Network] | None = None,
    soak: float | None = None, watcher: Watcher | None = None, host: Host | None = None,
) -> Report:
    """Try an engine on a board, from its bitstream to a soak, and write what was found into one file.

    Parameters
    ----------
    board : Board
        An open one; it stays open.
    overlay : Overlay
        Of kind "engine".
    path : path
        A new zip file. It is there from the beginning, and names the step that runs.
    networks : sequence of Network, optional
        Default: all that the overlay computes.
    soak : float, optional
        Seconds; default 180, of an emulated or simulated board 5.
    watcher : Watcher, optional
    host : Host, optional
        The machine.

    Raises
    ------
    InputError
        Before anything is touched.
    KeyboardInterrupt
        After the file was written.
    """
    if overlay.kind != "engine":
        raise InputError(f"overlay {overlay.name} is of kind {overlay.kind}: expected an engine's, whose registers and "
                         "memories these steps know; use selftest for the others")
    seconds = (SOAK_EMULATED if board.emulated else SOAK) if soak is None else float(soak)
    if not 0 <= seconds <= 86400:
        raise InputError(f"soak of {seconds:g} s: expected 0 to 86,400")
    target = check_file(path)
    chosen = networks_for(overlay) if networks is None else tuple(networks)
    hour = Hour(board, overlay, chosen, seconds, Host() if host is None else host)
    steps = list_steps(overlay, chosen, seconds)
    return _Run(hour, steps, target, Watcher() if watcher is None else watcher).all()


class _Run:
    def __init__(self, hour: Hour, steps: Sequence[Step], path: Path, watcher: Watcher) -> None:
        self.hour, self.steps, self.path, self.watcher = hour, steps, path, watcher
        results = [Result(step.name, step.proves, step.remedy) for step in steps]
        self.report = Report(_about(hour), results)
        self._by_name = {result.name: result for result in results}

    def save(self) -> None:
        write_file(self.path, self.report, self.hour.recordings)

    def all(self) -> Report:
        """Every step; the file last."""
        try:
            for number, (step, result) in enumerate(zip(self.steps, self.report.results)):
                self.watcher.begun(step, number, len(self.steps))
                self._one(step, result)
                self.watcher.ended(step, result)
        finally:
            self.hour.real.release(self.hour.real.owner)
            self.save()
        return self.report

    def _one(self, step: Step, result: Result) -> None:
        missing = [name for name in step.needs if self._by_name[name].state not in _FINE]
        if missing:
            result.state, result.text = SKIPPED, f"without {', '.join(missing)} there is nothing to try"
            return
        result.state = BEGUN
        self.save()
        hour, begun = self.hour, monotonic()
        hour.tell = lambda done, total: self.watcher.progress(step, done, total)
        hour.allow(step.limit * (_SLOW if hour.real.kind == "rtl" else 1))
        recorder = RecordingBoard(hour.real) if step.records else None
        hour.board = recorder or hour.real
        try:
            if hour.real.in_flight is not None:
                hour.real.reset()  # a run that an earlier step could not end
            found = step.run(hour)
        except QnnError as error:
            found = Finding(FAILED, f"{type(error).__name__}: {error}")
        except Exception as error:  # the rest is tried all the same
            _log.exception("step %s broke", step.name)
            found = Finding(FAILED, f"a defect of this program: {type(error).__name__}; please report it")
        except BaseException:
            result.state, result.text = INTERRUPTED, "broken off here"
            raise
        finally:
            result.seconds = round(monotonic() - begun, 3)
            hour.board = hour.real
            if recorder is not None:
                hour.recordings[f"{step.name}.recording".replace(" ", "-")] = _recorded(hour, step, recorder)
        state = LIMIT if step.beyond and found.state == FAILED else found.state
        result.state, result.text, result.details = state, found.text, found.details


def _recorded(hour: Hour, step: Step, recorder: RecordingBoard) -> bytes:
    """The file of a recording without pictures."""
    header = {**describe_run(hour.real, recorder, [hour.overlay]), "step": step.name}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "recording")
        save_recording(Recording(header, b"", recorder.events), path)
        with open(path, "rb") as file:
            return file.read()


def _about(hour: Hour) -> dict[str, object]:
    """Versions, board and overlay; nothing of whose they are."""
    overlay, host = hour.overlay, hour.host
    return {
        "package": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pynq": host.version("pynq"),
        "image": "{}.{}".format(*host.image) if host.image else None,
        "machine": host.machine,
        "board": hour.real.name,
        "kind": hour.real.kind,
        "emulated": hour.real.emulated,
        "overlay": {
            "name": overlay.name,
            "clock_mhz": overlay.clock_mhz,
            "geometry": overlay.geometry,
            "files": {key: file.sha256 for key, file in overlay.files.items()},
        },
        "networks": [network.name for network in hour.networks],
        "soak_seconds": hour.soak,
    }
