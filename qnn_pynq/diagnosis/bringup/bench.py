"""Programs of the engine that no network is behind: run one, and see what it leaves in memory."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Sequence

import numpy as np

from ...contracts.board import Board, Buffer, close_all
from ...contracts.overlay import Overlay
from ...errors import DeadlineError, QnnError, StatusError
from ...families.engine.control import Counters, Engine, Window
from ...families.engine.program import End, Instruction, Layer, encode
from ...families.engine.registers import BUSY, Reg

__all__ = ["SENTINEL", "Bench", "Ran"]

SENTINEL = 0x5EED0FF5E7B1A5ED  # in results before a run: what still shows it was not written
_LEAST = 16  # words of a buffer: what a transfer begins at
_SECONDS, _EMULATED = 1.0, 0.02  # beside 20 times what the circuit needs
_FACTOR = 20


class Ran(NamedTuple):
    """What a run left: words of the regions OUTPUT and SCRATCH, and what the circuit counted."""

    output: np.ndarray
    scratch: np.ndarray
    counters: Counters


class Bench:
    """One engine and nothing around it.

    Parameters
    ----------
    board : Board
        Configured with the overlay.
    overlay : Overlay
        Of kind "engine".
    left : callable() -> float
        Seconds that there still are; a run that begins without any is refused.
    """

    def __init__(self, board: Board, overlay: Overlay, left: Callable[[], float]) -> None:
        self.board, self.overlay, self._left = board, overlay, left
        self.engine = Engine(board, overlay)
        self.geometry: dict[str, int] = overlay.geometry

    @property
    def registers(self) -> Any:
        return self.board.ip(self.overlay.ip.name)

    def check_time(self) -> None:
        """DeadlineError where the step has used its time up."""
        if self._left() <= 0:
            raise DeadlineError("the time of this step is over: see how far it came, and run it again with nothing "
                                "else running")

    def begin(self) -> None:
        """Take the board, and bring the circuit to idle."""
        self.board.claim(self)
        self.engine.quiet()
        self.board.in_flight = None

    def run(self, program: Sequence[Instruction] | np.ndarray, data: np.ndarray | None = None, output: int = 0,
            scratch: int = 0, groups: int = 1, strides: tuple[int, int] = (0, 0)) -> Ran:
        """Run a program once.

        Parameters
        ----------
        program : sequence of Instruction, or uint64 words
            Of instructions, END is added.
        data : uint64 array
            The region INPUT.
        output, scratch : int
            Words of the regions OUTPUT and SCRATCH; they hold `SENTINEL` before.
        groups : int
        strides : (int, int)
            Bytes from group to group, of INPUT and OUTPUT.
        """
        self.check_time()
        words = program if isinstance(program, np.ndarray) else encode([*program, End()])
        data = np.zeros(0, np.uint64) if data is None else np.ascontiguousarray(data, np.uint64).reshape(-1)
        cycles = 10 * len(words) + 4 * groups * (data.size + output + scratch)
        if not isinstance(program, np.ndarray):
            cycles += groups * sum(40 * one.rows + one.cycles for one in program if isinstance(one, Layer))
        seconds = _FACTOR * cycles * 1e-6 / self.overlay.clock_mhz
        seconds += _EMULATED if self.board.emulated else _SECONDS
        with self.board.lock:
            return self._run(words, data, (output, scratch), groups, strides, seconds)

    def measure_clock(self, program: Sequence[Instruction], seconds: float) -> float:
        """MHz that the circuit counts, by the processor's time, while a program runs that is longer; it is aborted."""
        self.check_time()
        board = self.board
        with board.lock:
            self.engine.write_program(encode([*program, End()]))
            board.in_flight = self
            try:
                self.engine.start(Engine.start_program(1, (Window(),) * 4))
                begun = self._sample()
                board.clock.sleep(seconds)
                ended = self._sample()
                status = self.registers.read(Reg.STATUS)
            finally:
                self._end(())
        if not status & BUSY:
            raise StatusError(f"a program of over {seconds:g} s ended sooner, with status {status:#010x}")
        return (ended[0] - begun[0]) / max(1e-9, ended[1] - begun[1]) * 1e-6

    def _sample(self) -> tuple[int, float]:
        """Cycles of the run, and when they were read."""
        before = self.board.clock.now()
        cycles = int(self.registers.read(Reg.CYCLES))
        return cycles, (before + self.board.clock.now()) / 2

    def _run(self, words: np.ndarray, data: np.ndarray, sizes: tuple[int, int], groups: int, strides: tuple[int, int],
             seconds: float) -> Ran:
        board, buffers = self.board, []
        try:
            for content in (data, *(np.full(size, SENTINEL, np.uint64) for size in sizes)):
                buffer = board.allocate(max(_LEAST, content.size), np.uint64)
                buffers.append(buffer)
                buffer.array[: content.size] = content
                buffer.flush()
            windows = [Window()]
            windows += [Window(buffer.device_address, buffer.nbytes, stride)
                        for buffer, stride in zip(buffers, (*strides, 0))]
            self.engine.write_program(words)
            starts = Engine.start_program(groups, windows)
            board.in_flight = self
            self.engine.start(starts)
            counters = self.engine.wait(seconds, groups, lambda: "the program", lambda: False)
            board.in_flight = None
            found = []
            for buffer, size in zip(buffers[1:], sizes):
                buffer.invalidate()
                found.append(buffer.array[:size].copy())
            return Ran(found[0], found[1], counters)
        finally:
            self._end(buffers)

    def _end(self, buffers: Sequence[Buffer]) -> None:
        """Nothing may be written to a buffer that is given back."""
        board = self.board
        if board.in_flight is self:
            try:
                idle = self.engine.abort()
            except QnnError:  # nothing answers any more
                idle = False
            if not idle:
                board.quarantine(buffers, "a program could not be ended")
                return
            board.in_flight = None
        close_all(buffers)
