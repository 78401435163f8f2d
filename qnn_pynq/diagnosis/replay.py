"""A board that answers what another one was recorded to answer."""
from __future__ import annotations

from typing import Any, Callable

import numpy as np

from .. import errors
from ..contracts.board import Board, Buffer, Done, Registers, shape_bytes
from ..contracts.clock import VirtualClock
from ..contracts.program import PROGRAM_DTYPE
from ..errors import BoardError, ClosedError, QnnError, RecordingError
from .recording_file import BoardCall, PathLike, Recording, load_recording

__all__ = ["ReplayBoard"]


class ReplayBoard(Board):
    """Keeps the contract of a board without one: a driver must ask what was recorded, in that order.

    Parameters
    ----------
    recording : Recording, or path of its file

    Raises
    ------
    RecordingError
        The file is damaged; and from every call that differs from the recorded one, with its position.

    Attributes
    ----------
    position : int
        Events that were replayed.
    """

    kind = "replay"

    def __init__(self, recording: Recording | PathLike) -> None:
        super().__init__(VirtualClock())
        self.recording = recording if isinstance(recording, Recording) else load_recording(recording)
        header = self.recording.header
        self.name = "recording of {}".format(header.get("board") or "a board")
        self.emulated = header.get("emulated") is True
        self.position = 0
        self._seconds = 0.0
        self._buffers = 0
        self._overlay: Any = None
        windows = header.get("windows")
        self._windows: dict[str, Any] = windows if isinstance(windows, dict) else {}

    # -- the tape -----------------------------------------------------------------------------
    def replayed(self, kind: str, arguments: tuple[Any, ...]) -> Any:
        """The recorded answer of the next event, which must be this one."""
        self.check_open()
        events = self.recording.events
        asked = BoardCall(kind, 0, 0, arguments, None)
        if self.position >= len(events):
            raise RecordingError(f"event {self.position}: the recording ends here, the driver goes on: {_said(asked)}")
        event = events[self.position]
        if (event.kind, event.arguments) != (kind, arguments):
            raise RecordingError(f"event {self.position} of {len(events)}: {_different(event, asked)}")
        self.position += 1
        self._seconds = max(self._seconds, event.accelerator * 1e-9)
        self.clock.sleep_until(event.clock * 1e-9)
        if isinstance(event.answer, dict):
            name, text = event.answer["error"]
            raise _error(name)(text or f"{kind} failed on the recorded board ({name})")
        return event.answer

    def finish(self) -> None:
        """RecordingError unless everything was replayed."""
        events = self.recording.events
        if self.position < len(events):
            raise RecordingError(f"event {self.position} of {len(events)}: the driver has ended, the recording goes "
                                 f"on: {_said(events[self.position])}")

    # -- the contract of a board ---------------------------------------------------------------
    def configure(self, overlay: Any) -> None:
        bitstream = overlay.files.get("bitstream")
        with self.lock:
            self._configure("load", (overlay.name, bitstream.sha256 if bitstream else ""))
            self._overlay = overlay

    def _configure(self, kind: str, arguments: tuple[Any, ...]) -> None:
        events = self.recording.events
        if self.position < len(events) and events[self.position].kind == "free":
            self._configured()  # what was in quarantine went before this was noted
        generation = self.replayed(kind, arguments)
        if generation != self.generation or kind == "reset":
            self.generation = generation
            self._configured()

    def reset(self) -> None:
        with self.lock:
            self._configure("reset", ())

    @property
    def loaded(self) -> Any:
        events = self.recording.events
        if self._overlay is not None and self.position < len(events) and events[self.position].kind == "lost":
            self._overlay = None
            self.generation, self.in_flight = self.replayed("lost", ()), None
        return self._overlay

    def ip(self, name: str) -> Registers:
        self.check_open()
        window = self._windows.get(name)
        if not isinstance(window, int):
            raise BoardError(f"ip {name!r}: the recording has {', '.join(map(str, self._windows)) or 'none'}")
        return _Registers(self, name, window)

    def allocate(self, shape: int | tuple[int, ...], dtype: Any = np.uint8) -> Buffer:
        sizes, kind, nbytes = shape_bytes(shape, dtype)
        address = self.replayed("allocate", (nbytes,))
        self._buffers += 1
        return _Buffer(self, self._buffers - 1, np.zeros(sizes, kind), address)

    def wait(self, ip: str, done: Done, timeout: float, what: str = "the accelerator",
             cancelled: Callable[[], bool] | None = None) -> int:
        if callable(done):  # look by look, as it was recorded
            return super().wait(ip, done, timeout, what, cancelled)
        offset, mask = done
        return int(self.replayed("wait", (ip, int(offset), int(mask))))

    def idle(self, attempt: int, elapsed: float, left: float) -> None:
        """Time goes by as it did: until whatever came next."""
        events = self.recording.events
        ahead = events[self.position].clock * 1e-9 if self.position < len(events) else self.clock.now() + left
        self.clock.sleep_until(ahead)

    @property
    def accelerator_seconds(self) -> float:
        """As recorded: measured on an FPGA, modelled on an emulated board."""
        return self._seconds


class _Registers(Registers):
    def __init__(self, board: ReplayBoard, name: str, window: int) -> None:
        self._board, self._name, self.window = board, name, window

    def read(self, offset: int) -> int:
        return int(self._board.replayed("read", (self._name, int(offset))))

    def write(self, offset: int, value: int) -> None:
        self._board.replayed("write", (self._name, int(offset), int(value)))

    def run_program(self, program: np.ndarray, timeout: float) -> None:
        self._board.replayed("play", (self._name, program.tobytes()))


class _Buffer(Buffer):
    def __init__(self, board: ReplayBoard, number: int, array: np.ndarray, address: int) -> None:
        self._board, self._number, self._array = board, number, array
        self._bytes = array.reshape(-1).view(np.uint8)
        self.device_address, self.nbytes = address, array.nbytes

    @property
    def array(self) -> np.ndarray:
        if self.closed:
            raise ClosedError(f"buffer at {self.device_address:#x} is closed: allocate another")
        return self._array

    def _size(self, nbytes: int | None) -> int:
        return self.array.nbytes if nbytes is None else min(int(nbytes), self.nbytes)

    def flush(self, nbytes: int | None = None) -> None:
        size = self._size(nbytes)
        self._board.replayed("flush", (self._number, size, self._bytes[:size].tobytes()))

    def invalidate(self, nbytes: int | None = None) -> None:
        size = self._size(nbytes)
        content = self._board.replayed("invalidate", (self._number, size))
        if len(content) not in (size, self.nbytes):
            raise RecordingError(f"event {self._board.position - 1}: {len(content)} bytes recorded of {size}")
        self._bytes[:len(content)] = np.frombuffer(content, np.uint8)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            if not self._board.closed:
                self._board.replayed("free", (self._number,))


def _error(name: str) -> type[QnnError]:
    kind = getattr(errors, name, None) if name in errors.__all__ else None
    return kind if isinstance(kind, type) and issubclass(kind, QnnError) else BoardError


def _said(event: BoardCall) -> str:
    words = [f"{len(part)} bytes" if isinstance(part, bytes) else f"{part:#x}" if isinstance(part, int) else part
             for part in event.arguments]
    return " ".join([event.kind, *words])


def _different(recorded: BoardCall, asked: BoardCall) -> str:
    """The first difference in words: of long ones, where it is."""
    text = f"recorded {_said(recorded)}, the driver asks {_said(asked)}"
    if recorded.kind != asked.kind:
        return text
    for one, other in zip(recorded.arguments, asked.arguments):
        if isinstance(one, bytes) and one != other:
            unit = PROGRAM_DTYPE.itemsize if recorded.kind == "play" else 1
            same = next((n for n, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
            return f"{text}; they differ from {'step' if unit > 1 else 'byte'} {same // unit} on"
    return text
