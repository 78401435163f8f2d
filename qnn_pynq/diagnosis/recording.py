"""Recordings: what a driver and a board said to each other in one run, made where a board is, read where none is.

`record` classifies the network's known pictures, once alone and once as a batch; `replay` lets the driver of
this version do the same on a `ReplayBoard`, and compares its answers with the software engine's and what the
board had written into memory with what the twin of the overlay writes there.
"""

from __future__ import annotations

import logging
import platform
from typing import Any, NamedTuple, Sequence

import numpy as np

from .. import catalogue
from .._version import __version__
from ..boards import Board, emulates
from ..catalogue import default_overlays, find_network, find_overlay
from ..contracts.network import Network
from ..engines import BoardEngine, Engine, SoftwareEngine
from ..errors import InputError, QnnError, RecordingError
from ..networks.summary import weights_digest
from ..overlay import Overlay
from ..reliability.answers import Answers, differences, known_answers
from .host import Host
from .recorder import RecordingBoard
from .recording_file import PathLike, Recording, check_place, load_recording, save_recording
from .recording_twin import differences_of_twin
from .replay import ReplayBoard

__all__ = ["Recorded", "Replayed", "describe_run", "record", "replay"]

_log = logging.getLogger(__name__)
_MOST_IMAGES = 256


class Recorded(NamedTuple):
    """What `record` wrote.

    Attributes
    ----------
    events, pictures, size : int
        Size of the file in bytes.
    error : QnnError or None
        What ended the run. The file has everything up to it.
    """

    events: int
    pictures: int
    size: int
    error: QnnError | None


class Replayed(NamedTuple):
    """What `replay` found.

    Attributes
    ----------
    header : dict
        Of the file: board, versions, network, overlay.
    events, pictures : int
    seconds : dict
        Of the accelerator, by "configure", "single" and "batch", as the board had measured (or modelled) them.
    mismatches : list of dict
        Pictures that the board answered otherwise than the software engine: picture, expected, got.
    twin : list of str
        Where the twin of the overlay would have written something else into memory.
    """

    header: dict[str, Any]
    events: int
    pictures: int
    seconds: dict[str, float]
    mismatches: list[dict[str, Any]]
    twin: list[str]

    @property
    def ok(self) -> bool:
        return not self.mismatches and not self.twin


def record(
    network: Network, board: Board, path: PathLike, count: int = 4, conservative: bool = False,
    overlays: Sequence[Overlay] | None = None,
) -> Recorded:
    """Classify pictures on a board, and write down everything that its driver asked and the board answered.

    Parameters
    ----------
    network : Network
    board : Board
        An open one; it stays open.
    path : path
        File to write, whole or not at all.
    count : int
        Pictures, 1 to 256: the first of the network's known ones, or random pixels where it brings none.
    conservative : bool
        The published register sequence.
    overlays : sequence of Overlay, optional
        One a segment; default: as for a Classifier.

    Raises
    ------
    InputError, RecordingError
        Before the board is touched: wrong arguments, no place for a file.
    KeyboardInterrupt, MemoryError, ...
        After the file was written: it ends there.
    """
    if not isinstance(count, (int, np.integer)) or not 1 <= count <= _MOST_IMAGES:
        raise InputError(f"pictures {count!r}: expected 1 to {_MOST_IMAGES}")
    chosen = _own_overlays(network, board) if overlays is None else tuple(overlays)
    check_place(path)
    pictures = _pictures(network, count)
    recorder = RecordingBoard(board)
    seconds: dict[str, float] = {}
    error: BaseException | None = None
    try:
        with BoardEngine(recorder, chosen, conservative) as engine:
            _run(engine, network, pictures, recorder, seconds)
    except BaseException as caught:
        _log.info("the run failed, and so ends the recording: %s", caught)
        error = caught
    header = _header(network, board, recorder, len(pictures), conservative, chosen)
    if error is not None:
        header["error"] = type(error).__name__
    size = save_recording(Recording(header, pictures.tobytes(), recorder.events), path)
    if error is not None and not isinstance(error, QnnError):
        _log.warning("broken off (%s): %s has what was recorded up to there", type(error).__name__, path)
        raise error
    return Recorded(len(recorder.events), len(pictures), size, error)


def replay(path: PathLike, network: Network | None = None) -> Replayed:
    """Let the driver of this version do what a recording has.

    Parameters
    ----------
    path : path
    network : Network, optional
        Default: the one that the recording names.

    Raises
    ------
    RecordingError
        The file is damaged, or the driver's traffic is another; with the position.
    NotFoundError
        No network of that name is on this machine.
    QnnError
        What had ended the recorded run.
    """
    recording = load_recording(path)
    header = recording.header
    named = header.get("network")
    if not (isinstance(named, dict) and isinstance(named.get("name"), str)):
        what = "; it is of a step of bringup: ReplayBoard plays it to whoever asks the same" if "step" in header else ""
        raise RecordingError(f"{path}: its header names no network{what}")
    network = find_network(named["name"]) if network is None else network
    if weights_digest(network) != named.get("digest"):
        raise RecordingError(
            f"{path}: recorded with another network {network.name!r} than the one here: give that one"
        )
    pictures = _recorded_pictures(recording, network, str(path))
    board = ReplayBoard(recording)
    seconds: dict[str, float] = {}
    with BoardEngine(board, _recorded_overlays(header, str(path)), header.get("conservative") is True) as engine:
        found = _run(engine, network, pictures, board, seconds)
    board.finish()
    with SoftwareEngine() as engine:
        engine.load(network)
        expected = _answers(engine, pictures)
    return Replayed(
        header,
        len(recording.events),
        len(pictures),
        seconds,
        differences(network, expected, found),
        differences_of_twin(recording),
    )


def _own_overlays(network: Network, board: Board) -> tuple[Overlay, ...]:
    if not network.overlays:
        raise InputError(f"network {network.name!r} names no overlay: there is nothing to record")
    return tuple(default_overlays(network, emulates(board)))


def _recorded_overlays(header: dict[str, Any], path: str) -> tuple[Overlay, ...]:
    names = header.get("overlays")
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise RecordingError(f"{path}: its header names no overlays")
    known = catalogue.overlays()
    for name in names:
        if name not in known:  # a path in somebody's file leads nowhere
            raise RecordingError(f"{path}: recorded with overlay {name!r}, which is not here: put it in QNN_PYNQ_PATH")
    return tuple(find_overlay(name) for name in names)


def _run(engine: Engine, network: Network, pictures: np.ndarray, board: Board, seconds: dict[str, float]) -> Answers:
    """The run that recordings have; both sides must do the same."""
    begun = board.accelerator_seconds
    engine.load(network)
    seconds["configure"] = board.accelerator_seconds - begun
    for what, rows in (("single", pictures[:1]), ("batch", pictures)):
        begun = board.accelerator_seconds
        found = _answers(engine, rows)
        seconds[what] = board.accelerator_seconds - begun
    return found


def _answers(engine: Engine, pictures: np.ndarray) -> Answers:
    return Answers.of(pictures, engine.run(pictures))


def _pictures(network: Network, count: int) -> np.ndarray:
    known = known_answers(network)
    if known is not None:
        return known.pictures[:count]
    shape = (count, network.input.pixels)
    return np.random.default_rng(1).integers(0, network.input.encoding.levels, shape).astype(np.uint8)


def _recorded_pictures(recording: Recording, network: Network, path: str) -> np.ndarray:
    pictures = np.frombuffer(recording.pictures, np.uint8)
    if not pictures.size or pictures.size % network.input.pixels:
        raise RecordingError(
            f"{path}: {pictures.size} bytes of pictures, of which each has {network.input.pixels}"
        )
    return pictures.reshape(-1, network.input.pixels)


def describe_run(board: Board, recorder: RecordingBoard, overlays: Sequence[Overlay]) -> dict[str, Any]:
    """What is needed to understand a recording: no paths, no names of users or machines, no date."""
    host = Host()
    return {
        "format": "qnn-pynq-recording",
        "package": __version__,
        "board": board.name,
        "kind": board.kind,
        "emulated": board.emulated,
        "pynq": host.version("pynq"),
        "image": "{}.{}".format(*host.image) if host.image else None,
        "python": platform.python_version(),
        "machine": host.machine,
        "overlays": [overlay.name for overlay in overlays],
        "windows": recorder.windows,
    }


def _header(
    network: Network, board: Board, recorder: RecordingBoard, pictures: int, conservative: bool,
    overlays: Sequence[Overlay],
) -> dict[str, Any]:
    return {
        **describe_run(board, recorder, overlays),
        "network": {"name": network.name, "digest": weights_digest(network)},
        "conservative": conservative,
        "pictures": pictures,
    }
