"""The engine's registers in use: who is there, programs, starts, waits, the end of a run by force."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Sequence

import numpy as np

from ...contracts.board import Board
from ...contracts.program import PROGRAM_DTYPE, WRITE, make_writes
from ...errors import BusError, DeadlineError, EarlyDoneError, ForeignBitstreamError, StatusError, StrayRunError
from .registers import ABORTED, BUSY, CAPS, DONE, ERROR, ERRORS, MAGIC, NEVER, PROGRAM, REGION, VERSION, Command, Reg

__all__ = ["Counters", "Engine", "Window"]

_IN_TIME = 20.0  # seconds of a program in which nothing is waited for
_END = 0.05  # seconds that an abort or a reset may take: 2,000 cycles, and what the processor is late by
_WATCHDOG = 0x00FFFFFF  # cycles without an instruction or a burst
_DONE_OR_ERROR = 3  # of the interrupt registers


class Window(NamedTuple):
    """A region of memory: address, bytes, and bytes from one group to the next."""

    base: int = 0
    size: int = 0
    stride: int = 0


class Counters(NamedTuple):
    """What the circuit counted in a run, in cycles."""

    cycles: int = 0
    busy: int = 0
    wait_load: int = 0
    wait_store: int = 0
    wait_drain: int = 0


class Engine:
    """One engine behind a board's registers.

    Parameters
    ----------
    board : Board
    overlay : Overlay
        Of kind "engine".
    """

    def __init__(self, board: Board, overlay: Any) -> None:
        self._board, self._overlay = board, overlay
        self._ip = overlay.ip.name

    @property
    def _registers(self) -> Any:
        return self._board.ip(self._ip)

    def check_identity(self) -> None:
        """Whether the circuit is the one that the descriptor describes.

        Raises
        ------
        ForeignBitstreamError
            It is another one, or another engine.
        """
        registers, overlay = self._registers, self._overlay
        for register, wanted in ((Reg.MAGIC, MAGIC), (Reg.VERSION, VERSION)):
            found = registers.read(register)
            if found != wanted:
                raise ForeignBitstreamError(f"{overlay.name}: register {register.name.lower()} shows {found:#010x}, an "
                                            f"engine that this library drives {wanted:#010x}: another bitstream is "
                                            "loaded, or the bus is broken")
        for register, fields in CAPS.items():
            found = registers.read(register)
            for key, bit, bits in fields:
                value = found >> bit & (1 << bits) - 1
                if value != overlay.geometry[key]:
                    raise ForeignBitstreamError(
                        f"{overlay.name}: the circuit has {key} {value}, its descriptor {overlay.geometry[key]}: the "
                        "bitstream of another engine is loaded, configure the one that goes with this descriptor")
        build = overlay.rtl.parameters.get("BUILD", 0) if overlay.rtl else 0
        if build and (found := registers.read(Reg.BUILD)) != build:
            raise ForeignBitstreamError(
                f"{overlay.name}: the circuit is of build {found:#x}, its descriptor of {build:#x}: another bitstream "
                "of this engine is loaded, configure the one that goes with this descriptor")

    def check_idle(self) -> None:
        """StatusError for bits that no engine has, StrayRunError where it runs."""
        status = self._registers.read(Reg.STATUS)
        if status & NEVER:
            raise StatusError(f"status {status:#010x}: bits that the circuit does not have; the bus or the logic is "
                              "broken, or another bitstream is loaded")
        if status & BUSY:
            raise StrayRunError("the engine is still busy with an earlier run: reset() the board and load the network "
                                "again")

    def quiet(self) -> None:
        """Bring it to idle by a soft reset, whatever it does; errors as `check_idle` where that does not help."""
        self._registers.write(Reg.CONTROL, Command.RESET)
        self._idle()
        self.check_idle()

    def abort(self) -> bool:
        """End a run; whether the circuit is idle then, so that nothing is written any more."""
        self._registers.write(Reg.CONTROL, Command.ABORT)
        return self._idle()

    def _idle(self) -> bool:
        def idle(registers: Any) -> bool:
            return not registers.read(Reg.STATUS) & (BUSY | NEVER)

        try:
            self._board.wait(self._ip, idle, _END, self._overlay.name)
        except DeadlineError:
            return False
        return True

    def write_program(self, words: np.ndarray) -> None:
        """Fill the program memory from its beginning."""
        halves = np.ascontiguousarray(words).astype("<u8", copy=False).view("<u4")
        program = np.empty(halves.size, PROGRAM_DTYPE)
        program["op"], program["value"] = WRITE, halves
        program["offset"] = PROGRAM + 4 * np.arange(halves.size)
        self._registers.run_program(program, _IN_TIME)

    @staticmethod
    def start_program(groups: int, windows: Sequence[Window]) -> np.ndarray:
        """Writes that start the program for so many groups; `windows` are those of the regions, in their order."""
        values = []
        for number, window in enumerate(windows):
            at = REGION + 16 * number
            values += [(at, window.base), (at + 4, window.size), (at + 8, window.stride)]
        values += [(Reg.GROUPS, groups), (Reg.WATCHDOG, _WATCHDOG), (Reg.IRQ_STATUS, _DONE_OR_ERROR),
                   (Reg.IRQ_ENABLE, _DONE_OR_ERROR), (Reg.CONTROL, Command.START)]
        return make_writes([(int(offset), int(value)) for offset, value in values])

    def start(self, program: np.ndarray) -> None:
        """Carry out what `start_program` gave."""
        self._registers.run_program(program, _IN_TIME)

    @property
    def busy(self) -> bool:
        """Whether it runs."""
        return bool(self._registers.read(Reg.STATUS) & BUSY)

    def wait(self, timeout: float, groups: int, what: Callable[[], str], cancelled: Callable[[], bool]) -> Counters:
        """Wait for the end of a run.

        Raises
        ------
        DeadlineError
            None in time, or the circuit's own watchdog says so.
        StatusError, BusError, EarlyDoneError
            It ended in another way than a run should.
        ClosedError
            `cancelled` said so.
        """
        board = self._board
        mask = DONE | ERROR | ABORTED | NEVER
        try:
            board.wait(self._ip, (int(Reg.STATUS), mask), timeout, self._overlay.name, cancelled)
        except DeadlineError as error:
            raise DeadlineError(f"{what()}: no answer within {timeout:g} s; reset() the board and load the network "
                                "again, or allow more time") from error
        registers = self._registers
        status = registers.read(Reg.STATUS)
        if status & NEVER:
            self.check_idle()
        if status & ERROR:
            self._raise(status, what())
        if status & ABORTED or not status & DONE:
            raise StatusError(f"{what()}: status {status:#010x}, the run was aborted by somebody else")
        if status & BUSY:
            raise EarlyDoneError(f"{what()}: done, but still busy")
        registers.write(Reg.IRQ_STATUS, _DONE_OR_ERROR)
        pictures, wanted = registers.read(Reg.PICTURES), groups * self._overlay.geometry["vectors"]
        if pictures != wanted:
            raise EarlyDoneError(f"{what()}: done, with {pictures} of {wanted} pictures")
        return Counters(*(registers.read(register) for register in (Reg.CYCLES, Reg.BUSY, Reg.WAIT_LOAD, Reg.WAIT_STORE,
                                                                    Reg.WAIT_DRAIN)))

    @staticmethod
    def _raise(status: int, what: str) -> None:
        code, word = status >> 8 & 0xFF, status >> 16
        kinds: dict[int, Any] = {3: BusError, 4: BusError, 5: DeadlineError}
        raise kinds.get(code, StatusError)(f"{what}: error {code} ({ERRORS.get(code, 'unknown')}) at word {word} of "
                                           "the program; load the network again")
