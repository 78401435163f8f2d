"""A recording beside the twin of its overlay: the same writes and buffers, and what either leaves in memory."""

from __future__ import annotations

import numpy as np

from ..boards.emulated import EmulatedMemory, TwinRegisters, next_look
from ..catalogue import find_overlay
from ..contracts.clock import VirtualClock
from ..contracts.families import twin_class
from ..contracts.program import PROGRAM_DTYPE
from ..contracts.twin import Twin
from ..errors import QnnError, RecordingError
from ..overlay import Overlay
from .recording_file import BoardCall, Recording

__all__ = ["differences_of_twin"]

_SHOWN = 10
_LONGEST = 3600.0  # seconds of the virtual clock until a twin counts as hung
_MOST_BYTES = 256 << 20


def differences_of_twin(recording: Recording) -> list[str]:
    """Where the twin leaves other bytes in memory than the recorded board did; empty where they agree.

    Register reads are not compared: what they show depends on the moment.

    Raises
    ------
    RecordingError
        The recording's overlay is not known here, or it does things that no board allows.
    """
    return _Comparison().run(recording)


class _Comparison:
    def __init__(self) -> None:
        self.memory, self.clock = EmulatedMemory(_MOST_BYTES), VirtualClock()
        self.twin: Twin | None = None
        self.overlay: Overlay | None = None
        self.buffers: list[tuple[int, int]] = []  # address, bytes
        self.found: list[str] = []

    def run(self, recording: Recording) -> list[str]:
        for position, event in enumerate(recording.events):
            if isinstance(event.answer, dict):
                continue  # it failed on the board: the twin knows nothing of faults
            try:
                getattr(self, "_" + event.kind)(position, event)
            except (QnnError, ValueError, IndexError) as error:
                raise RecordingError(f"event {position} ({event.kind}): {error}") from error
            if len(self.found) >= _SHOWN:
                break
        return self.found

    def _load(self, position: int, event: BoardCall) -> None:
        overlay = find_overlay(event.arguments[0])
        bitstream = overlay.files.get("bitstream")
        if (bitstream.sha256 if bitstream else "") != event.arguments[1]:
            raise RecordingError(f"overlay {overlay.name} has another bitstream here")
        if self.overlay != overlay:
            self.overlay = overlay
            self._reset(position, event)

    def _reset(self, position: int, event: BoardCall) -> None:
        self.twin = twin_class(self.overlay.kind)(self.overlay, self.memory, self.clock) if self.overlay else None

    def _lost(self, position: int, event: BoardCall) -> None:
        self.overlay = self.twin = None

    def _allocate(self, position: int, event: BoardCall) -> None:
        self.memory.place(event.answer, event.arguments[0])
        self.buffers.append((event.answer, event.arguments[0]))

    def _free(self, position: int, event: BoardCall) -> None:
        if not self.memory.free(self.buffers[event.arguments[0]][0]):
            raise RecordingError(f"buffer {event.arguments[0]} is not there")

    def _part(self, event: BoardCall, nbytes: int) -> np.ndarray:
        address, size = self.buffers[event.arguments[0]]
        if nbytes > size:
            raise RecordingError(f"{nbytes} bytes of a buffer of {size}")
        return self.memory.read(address, nbytes)

    def _flush(self, position: int, event: BoardCall) -> None:
        content = np.frombuffer(event.arguments[2], np.uint8)
        self._part(event, content.size)[:] = content

    def _invalidate(self, position: int, event: BoardCall) -> None:
        if self.twin is not None:
            self.twin.settle()
        theirs = np.frombuffer(event.answer, np.uint8)
        ours = self._part(event, theirs.size)
        wrong = np.flatnonzero(ours != theirs)
        if wrong.size:
            first = int(wrong[0])
            text = "event {}, buffer {}: {} of {} bytes differ; byte {} is {:#04x} on the board, {:#04x} of the twin"
            numbers = (wrong.size, ours.size, first, int(theirs[first]), int(ours[first]))
            self.found.append(text.format(position, event.arguments[0], *numbers))
            ours[:] = theirs  # so that one difference is not reported again and again

    def _registers(self, event: BoardCall) -> TwinRegisters:
        if self.twin is None or self.overlay is None:
            raise RecordingError("registers of an empty logic")
        ip = next((ip for ip in self.overlay.ips if ip.name == event.arguments[0]), None)
        if ip is None:
            raise RecordingError(f"overlay {self.overlay.name} has no ip {event.arguments[0]}")
        return TwinRegisters(self.twin.ip(ip.name), ip.range, self.clock, self._pass)

    def _read(self, position: int, event: BoardCall) -> None:
        self._registers(event).read(event.arguments[1])

    def _write(self, position: int, event: BoardCall) -> None:
        self._registers(event).write(event.arguments[1], event.arguments[2])

    def _play(self, position: int, event: BoardCall) -> None:
        self._registers(event).run_program(np.frombuffer(event.arguments[1], PROGRAM_DTYPE), _LONGEST)

    def _pass(self, attempt: int, left: float) -> None:
        """Let the clock go on to the end of what is running."""
        assert self.twin is not None
        self.clock.sleep_until(next_look(self.twin, self.clock.now(), attempt, left))

    def _wait(self, position: int, event: BoardCall) -> None:
        name, offset, mask = event.arguments
        registers = self._registers(event)
        self._pass(0, _LONGEST)
        if mask and not registers.read(offset) & mask:
            raise RecordingError(f"the twin never shows bits {mask:#x} at {offset:#x}")
