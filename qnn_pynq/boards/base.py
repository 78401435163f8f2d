"""The contract of a board: clock, registers, buffers, ownership. Drivers see nothing else."""
from __future__ import annotations

import itertools
import threading
import time
from abc import ABC, abstractmethod
from typing import Any, Callable, Sequence, Tuple, Union

import numpy as np

from ..errors import BoardBusyError, BoardError, BoardTakenError, BusError, ClosedError, DeadlineError

__all__ = [
    "PROGRAM_DTYPE",
    "WAIT",
    "WRITE",
    "Board",
    "Buffer",
    "Clock",
    "RealClock",
    "Registers",
    "VirtualClock",
    "check_program",
    "make_program",
    "play_plainly",
]

PROGRAM_DTYPE = np.dtype([("op", "<u4"), ("offset", "<u4"), ("value", "<u4")])
WRITE = 0  # registers[offset] = value
WAIT = 1  # until (registers[offset] & value) != 0

Done = Union[Tuple[int, int], Callable[["Registers"], bool]]


class Clock(ABC):
    """Where a board takes its time from."""

    @abstractmethod
    def now(self) -> float:
        """Seconds since some fixed moment."""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""

    def sleep_until(self, moment: float) -> None:
        """Let time pass up to `moment` on this clock."""
        self.sleep(max(0.0, moment - self.now()))

    def elapse(self, seconds: float) -> None:  # noqa: B027 (an override is optional)
        """Modelled time went by: moves a virtual clock, costs nothing on a real one."""


class RealClock(Clock):
    """The machine's monotonic clock."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)


class VirtualClock(Clock):
    """Starts at 0 and moves only when told: waiting costs no real time."""

    def __init__(self) -> None:
        self._now = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def sleep_until(self, moment: float) -> None:
        with self._lock:
            self._now = max(self._now, moment)

    def elapse(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`."""
        with self._lock:
            self._now += max(0.0, seconds)


def make_program(steps: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Program from (op, offset, value) triples; long ones are better filled with numpy."""
    return np.array([tuple(step) for step in steps], dtype=PROGRAM_DTYPE)


def check_program(program: np.ndarray, window: int) -> np.ndarray:
    """Refuse a program before its first access.

    Parameters
    ----------
    program : ndarray of PROGRAM_DTYPE, shape (n,)
    window : int
        Bytes of the register window.

    Raises
    ------
    BoardError
        Wrong dtype or shape, an unknown operation, or a wait for no bit.
    BusError
        An offset that is misaligned or outside the window.
    """
    if not isinstance(program, np.ndarray) or program.dtype != PROGRAM_DTYPE or program.ndim != 1:
        raise BoardError("program: expected a 1-d array of PROGRAM_DTYPE, got {}".format(
            getattr(program, "dtype", type(program).__name__)))
    if program.size == 0:
        return program
    if int(program["op"].max()) > WAIT:
        step = int(np.argmax(program["op"] > WAIT))
        raise BoardError("program step {}: unknown operation {}, expected 0 (write) or 1 (wait)".format(
            step, int(program["op"][step])))
    waits_for_nothing = (program["op"] == WAIT) & (program["value"] == 0)
    if waits_for_nothing.any():
        raise BoardError(f"program step {int(np.argmax(waits_for_nothing))}: waits for no bit at all")
    offsets = program["offset"]
    if int(offsets.max()) > window - 4 or int(np.bitwise_or.reduce(offsets)) & 3:
        bad = (offsets > max(window - 4, 0)) | ((offsets & 3) != 0)
        step = int(np.argmax(bad))
        raise BusError(f"program step {step}: offset {int(offsets[step]):#x} is misaligned "
                       f"or outside the {window} byte window")
    return program


def play_plainly(registers: Registers, program: np.ndarray, clock: Clock, timeout: float,
                 idle: Callable[[int, float], None] | None = None) -> None:
    """Play a program access by access: the meaning that every faster player must keep.

    `idle(attempt, left)` is called after each read that did not show the bit: the number of such
    reads of this step before, and the seconds left.
    """
    start = clock.now()
    deadline = start + timeout
    for step, (op, offset, value) in enumerate(program.tolist()):
        if op == WRITE:
            registers.write(offset, value)
            continue
        attempt = 0
        while not registers.read(offset) & value:
            left = deadline - clock.now()
            if left <= 0:
                raise DeadlineError(
                    f"step {step} of {len(program)}: register {offset:#x} showed none "
                    f"of the bits {value:#x} within {timeout:g} s; "
                    "reset the board and configure again")
            if idle is not None:
                idle(attempt, left)
            attempt += 1


class Registers(ABC):
    """Register window of one IP: 32-bit accesses at byte offsets."""

    window = 0  # bytes

    def check(self, offset: int) -> int:
        """Offset as an int, or BusError."""
        if offset & 3 or not 0 <= offset <= self.window - 4:
            raise BusError(f"register offset {offset:#x}: expected a multiple of 4 below {self.window:#x}")
        return offset

    @abstractmethod
    def read(self, offset: int) -> int:
        """Value of the register at byte `offset`."""

    @abstractmethod
    def write(self, offset: int, value: int) -> None:
        """Write a value of 0..2**32-1 to the register at byte `offset`."""

    @abstractmethod
    def play(self, program: np.ndarray, timeout: float) -> None:
        """Play a program of PROGRAM_DTYPE; `timeout` seconds for the whole of it.

        Raises
        ------
        DeadlineError
            A wait step that was not satisfied in time; the message names the step.
        """


class Buffer(ABC):
    """Contiguous memory that processor and logic share.

    The processor works on `.array`. What it writes reaches the logic by `flush`, what the logic
    writes reaches the array by `invalidate`; without them either side may see stale data.
    """

    device_address = 0
    nbytes = 0
    closed = False

    @property
    @abstractmethod
    def array(self) -> np.ndarray:
        """The processor's view, a plain ndarray. ClosedError after close()."""

    @abstractmethod
    def flush(self, nbytes: int | None = None) -> None:
        """Make the processor's writes visible to the logic, at least the first `nbytes`."""

    @abstractmethod
    def invalidate(self, nbytes: int | None = None) -> None:
        """Make the logic's writes visible to the processor, at least the first `nbytes`."""

    @abstractmethod
    def close(self) -> None:
        """Give the memory back; idempotent."""

    def __enter__(self) -> Buffer:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Board(ABC):
    """What overlays are loaded into.

    One owner at a time: `claim` takes the board over, the former owner's next `require` raises
    BoardTakenError. `lock` guards a sequence of accesses between threads.
    """

    name = "board"
    kind = ""
    emulated = False

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.generation = 0  # counts configurations of the logic: weights do not survive one
        self.closed = False
        self._owner: Any = None
        self._in_flight: Any = None

    # -- ownership ----------------------------------------------------------------------------
    @property
    def owner(self) -> Any:
        """Who may use the board now, or None."""
        return self._owner

    def claim(self, owner: Any) -> None:
        """Make `owner` the one who may use the board.

        Raises
        ------
        BoardBusyError
            A run of another owner is in flight: the published circuits cannot abort one.
        """
        with self.lock:
            self.check_open()
            if self._in_flight is not None and self._in_flight is not owner:
                raise BoardBusyError(
                    f"a run of another classifier is in flight on {self.name}: let it finish, "
                    "or reset() the board")
            self._owner = owner

    def release(self, owner: Any) -> None:
        """Give the board up; nothing happens when `owner` does not hold it."""
        with self.lock:
            if self._owner is owner:
                self._owner = None

    def require(self, owner: Any) -> None:
        """Raise BoardTakenError unless `owner` holds the board, ClosedError after close()."""
        self.check_open()
        if self._owner is not owner:
            raise BoardTakenError(
                f"{self.name} belongs to another classifier now; load() a network again to take it back, "
                "or open a second board")

    def mark_in_flight(self, owner: Any) -> None:
        """Remember a started run, and with it its buffers; None when it is over."""
        self._in_flight = owner

    def check_open(self) -> None:
        """ClosedError after close()."""
        if self.closed:
            raise ClosedError(f"{self.name} is closed: open a board again")

    # -- logic --------------------------------------------------------------------------------
    @abstractmethod
    def load(self, overlay: Any) -> None:
        """Configure the logic with an overlay; nothing happens when it is there already."""

    @property
    @abstractmethod
    def loaded(self) -> Any:
        """The Overlay that is in the logic, or None (nothing, or somebody else's)."""

    @abstractmethod
    def ip(self, name: str) -> Registers:
        """Registers of an IP of the loaded overlay."""

    @abstractmethod
    def allocate(self, shape: int | tuple[int, ...], dtype: Any = np.uint8) -> Buffer:
        """Contiguous zeroed memory. BoardError when there is not enough."""

    @abstractmethod
    def reset(self) -> None:
        """Configure the logic again: ends a hung run, loses the weights."""

    def close(self) -> None:
        """Release the board; idempotent."""
        with self.lock:
            self.closed = True
            self._owner = None
            self._in_flight = None

    @property
    def accelerator_seconds(self) -> float:
        """Time for measuring the accelerator: modelled on an emulated board, measured on an FPGA."""
        return self.clock.now()

    def wait(self, ip: str, done: Done, timeout: float, what: str = "the accelerator") -> int:
        """Wait until an IP shows a bit.

        Parameters
        ----------
        ip : str
        done : (offset, mask) or callable(registers) -> bool
        timeout : float
            Seconds.
        what : str
            What is waited for, for the message.

        Returns
        -------
        int
            The last value read (0/1 for a callable).
        """
        registers = self.ip(ip)
        start = self.clock.now()
        for attempt in itertools.count():
            value = int(done(registers)) if callable(done) else registers.read(done[0]) & done[1]
            if value:
                return value
            elapsed = self.clock.now() - start
            if elapsed >= timeout:
                raise DeadlineError(
                    f"{what}: no answer within {timeout:g} s; reset() the board and load the network again, "
                    "or allow more time")
            self._idle(attempt, elapsed, timeout - elapsed)
        raise AssertionError

    def _idle(self, attempt: int, elapsed: float, left: float) -> None:
        # Spin while the run is short, then sleep 4 % of the time waited: late by 4 % at most,
        # and some 190 polls in a run of a second.
        if elapsed > 0.0002:
            self.clock.sleep(min(left, max(0.04 * elapsed, 0.00002)))

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def _shape_bytes(shape: int | Sequence[int], dtype: Any) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape as a tuple, dtype, and the bytes that they take."""
    sizes: list[int] = [int(shape)] if np.ndim(shape) == 0 else [int(n) for n in shape]  # type: ignore
    kind = np.dtype(dtype)
    if kind.hasobject or any(n < 0 for n in sizes):
        raise BoardError(f"buffer of shape {tuple(sizes)} and dtype {kind}: "
                         "expected sizes >= 0 of a plain dtype")
    nbytes = kind.itemsize
    for size in sizes:
        nbytes *= size
    return tuple(sizes), kind, nbytes
