"""A board that writes down what a driver asks of another board, and what that one answers."""
from __future__ import annotations

from typing import Any, Callable, Iterable

import numpy as np

from ..contracts.board import Board, Buffer, Done, Registers, shape_bytes
from ..errors import QnnError
from .recording_file import BoardCall

__all__ = ["RecordingBoard"]


class RecordingBoard(Board):
    """Hands every call on to `board`, and keeps it.

    Parameters
    ----------
    board : Board
        Closed with this one.

    Attributes
    ----------
    events : list of BoardCall
        So far, in order.
    windows : dict
        Bytes of the register windows that were used, by ip.
    """

    def __init__(self, board: Board) -> None:
        super().__init__(board.clock)
        self.board = board
        self.name, self.kind, self.emulated = board.name, board.kind, board.emulated
        self.generation = board.generation
        self.events: list[BoardCall] = []
        self.windows: dict[str, int] = {}
        self._buffers = 0
        self._start = self._now()

    def note(self, kind: str, arguments: tuple[Any, ...], answer: Any) -> None:
        """Keep one call."""
        times = [max(0, round((now - start) * 1e9)) for now, start in zip(self._now(), self._start)]
        self.events.append(BoardCall(kind, times[0], times[1], arguments, answer))

    def _now(self) -> tuple[float, float]:
        return self.clock.now(), self.board.accelerator_seconds

    def asked(self, kind: str, arguments: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        """Make a call and keep it, also when it fails."""
        self.check_open()
        try:
            answer = call()
        except BaseException as error:  # also a Ctrl-C: it tells where a board hangs
            # What happens on opening files names folders of the user.
            text = str(error) if isinstance(error, QnnError) and kind != "load" else ""
            self.note(kind, arguments, {"error": [type(error).__name__, text]})
            raise
        self.note(kind, arguments, answer)
        return answer

    def _same_generation(self) -> int:
        self.generation = self.board.generation
        return self.generation

    # Who runs what, and what is in quarantine, is the recorded board's to know: it configures the logic.
    @property
    def in_flight(self) -> object:
        return self.board.in_flight

    @in_flight.setter
    def in_flight(self, owner: object) -> None:
        self.board.in_flight = owner

    def quarantine(self, buffers: Iterable[Buffer], why: str) -> None:
        self.board.quarantine(buffers, why)

    @property
    def quarantined(self) -> int:
        return self.board.quarantined

    def configure(self, overlay: Any) -> None:
        def call() -> int:
            self.board.configure(overlay)
            return self._same_generation()

        bitstream = overlay.files.get("bitstream")
        self.asked("load", (overlay.name, bitstream.sha256 if bitstream else ""), call)

    def reset(self) -> None:
        def call() -> int:
            self.board.reset()
            return self._same_generation()

        self.asked("reset", (), call)

    @property
    def loaded(self) -> Any:
        overlay = self.board.loaded
        if self.generation != self.board.generation:
            self.note("lost", (), self._same_generation())
        return overlay

    def ip(self, name: str) -> Registers:
        registers = self.board.ip(name)
        self.windows[name] = registers.window
        return _Registers(self, name, registers)

    def allocate(self, shape: int | tuple[int, ...], dtype: Any = np.uint8) -> Buffer:
        made: list[Buffer] = []

        def call() -> int:
            made.append(self.board.allocate(shape, dtype))
            return made[0].device_address

        self.asked("allocate", (shape_bytes(shape, dtype)[2],), call)
        self._buffers += 1
        return _Buffer(self, self._buffers - 1, made[0])

    def wait(self, ip: str, done: Done, timeout: float, what: str = "the accelerator",
             cancelled: Callable[[], bool] | None = None) -> int:
        if callable(done):  # what it looks at is kept, look by look
            return super().wait(ip, done, timeout, what, cancelled)
        offset, mask = done
        answer: int = self.asked("wait", (ip, int(offset), int(mask)),
                                 lambda: int(self.board.wait(ip, done, timeout, what, cancelled)))
        return answer

    def idle(self, attempt: int, elapsed: float, left: float) -> None:
        self.board.idle(attempt, elapsed, left)

    @property
    def accelerator_seconds(self) -> float:
        return self.board.accelerator_seconds

    def close(self) -> None:
        super().close()
        self.board.close()


class _Registers(Registers):
    def __init__(self, recorder: RecordingBoard, name: str, registers: Registers) -> None:
        self._recorder, self._name, self._registers = recorder, name, registers
        self.window = registers.window

    def read(self, offset: int) -> int:
        value: int = self._recorder.asked("read", (self._name, int(offset)), lambda: self._registers.read(offset))
        return value

    def write(self, offset: int, value: int) -> None:
        self._recorder.asked("write", (self._name, int(offset), int(value)),
                             lambda: self._registers.write(offset, value))

    def run_program(self, program: np.ndarray, timeout: float) -> None:
        self._recorder.asked(
            "play", (self._name, program.tobytes()), lambda: self._registers.run_program(program, timeout))


class _Buffer(Buffer):
    def __init__(self, recorder: RecordingBoard, number: int, buffer: Buffer) -> None:
        self._recorder, self._number, self._buffer = recorder, number, buffer
        self.device_address, self.nbytes = buffer.device_address, buffer.nbytes

    @property
    def closed(self) -> bool:  # type: ignore[override]
        return self._buffer.closed

    @property
    def array(self) -> np.ndarray:
        return self._buffer.array

    def _content(self, nbytes: int) -> bytes:
        return self._buffer.array.reshape(-1).view(np.uint8)[:nbytes].tobytes()

    def _size(self, nbytes: int | None) -> int:
        return self.nbytes if nbytes is None else min(int(nbytes), self.nbytes)

    def flush(self, nbytes: int | None = None) -> None:
        size = self._size(nbytes)
        self._recorder.asked("flush", (self._number, size, self._content(size)), lambda: self._buffer.flush(nbytes))

    def invalidate(self, nbytes: int | None = None) -> None:
        size = self._size(nbytes)

        def call() -> bytes:
            before = self._content(self.nbytes)
            self._buffer.invalidate(nbytes)
            after = self._content(self.nbytes)
            # Some boards take more than was asked for, and the driver may flush it again.
            return after if after[size:] != before[size:] else after[:size]

        self._recorder.asked("invalidate", (self._number, size), call)

    def close(self) -> None:
        if not self._buffer.closed:
            self._buffer.close()
            if not self._recorder.closed:
                self._recorder.note("free", (self._number,), None)
