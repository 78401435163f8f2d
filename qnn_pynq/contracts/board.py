"""The contract of a board: clock, registers, buffers, ownership. Drivers see nothing else."""
from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from operator import index
from typing import Any, Callable, Iterable, Sequence, Tuple, Union

import numpy as np

from ..errors import BoardBusyError, BoardError, BoardTakenError, BusError, ClosedError
from . import waiting
from .clock import Clock

__all__ = ["Board", "Buffer", "Done", "Registers", "close_all", "shape_bytes"]

_log = logging.getLogger(__name__)
Done = Union[Tuple[int, int], Callable[["Registers"], bool]]


class Registers(ABC):
    """Register window of one IP: 32-bit accesses at byte offsets."""

    window = 0  # bytes

    def check(self, offset: int) -> int:
        """Offset as an int, or BusError."""
        if not isinstance(offset, (int, np.integer)):
            raise BusError(f"register offset {offset!r}: expected an integer")
        if offset & 3 or not 0 <= offset <= self.window - 4:
            raise BusError(f"register offset {offset:#x}: expected a multiple of 4 below {self.window:#x}")
        return int(offset)

    @abstractmethod
    def read(self, offset: int) -> int:
        """Value of the register at byte `offset`."""

    @abstractmethod
    def write(self, offset: int, value: int) -> None:
        """Write a value of 0..2**32-1 to the register at byte `offset`."""

    @abstractmethod
    def run_program(self, program: np.ndarray, timeout: float) -> None:
        """Run a program of PROGRAM_DTYPE; `timeout` seconds for the whole of it.

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

    def __exit__(self, *_: object) -> None:
        self.close()


def close_all(buffers: Sequence[Buffer]) -> None:
    """Close buffers, the later ones also where closing one fails; that error is raised then."""
    for place, buffer in enumerate(buffers):
        try:
            buffer.close()
        except BaseException:
            close_all(buffers[place + 1 :])
            raise


class Board(ABC):
    """What overlays are loaded into.

    One `owner` at a time: `claim` takes the board over, the former owner's next `require` raises
    BoardTakenError. Who starts a run sets `in_flight` before, and None when it is over. `lock` guards a sequence of
    accesses between threads.

    Buffers that a run may still write to, which nobody could end, come to the board by `quarantine`: they are neither
    freed nor handed out until the logic is configured again, and the next `load` does that.
    """

    name = "board"
    kind = ""
    emulated = False
    owner: object = None  # who may use the board now
    in_flight: object = None  # whose run may be in the logic; a configuration of the logic ends every run

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.generation = 0  # counts configurations of the logic: weights do not survive one
        self.closed = False
        self._quarantined: list[Buffer] = []
        self._stale = False  # the next load configures the logic, whatever is in it

    # -- ownership ----------------------------------------------------------------------------
    def claim(self, owner: object) -> None:
        """Make `owner` the one who may use the board.

        Raises
        ------
        BoardBusyError
            A run of another owner is in flight: the published circuits cannot abort one.
        """
        with self.lock:
            self.check_open()
            if self.in_flight is not None and self.in_flight is not owner:
                raise BoardBusyError(
                    f"a run of another classifier is in flight on {self.name}: let it finish, "
                    "or reset() the board")
            self.owner = owner

    def release(self, owner: object) -> None:
        """Give the board up, and a run in flight; nothing happens when `owner` does not hold it."""
        with self.lock:
            if self.in_flight is owner:
                self.in_flight = None
            if self.owner is owner:
                self.owner = None

    def require(self, owner: object) -> None:
        """Raise BoardTakenError unless `owner` holds the board, ClosedError after close()."""
        self.check_open()
        if self.owner is not owner:
            raise BoardTakenError(
                f"{self.name} belongs to another classifier now; load() a network again to take it back, "
                "or open a second board")

    def quarantine(self, buffers: Iterable[Buffer], why: str) -> None:
        """Take over buffers that the logic may still write to, until it is configured again.

        Parameters
        ----------
        buffers : iterable of Buffer
        why : str
            What happened, for the log.
        """
        with self.lock:
            kept = [buffer for buffer in buffers if not buffer.closed and buffer not in self._quarantined]
            self._quarantined += kept
            self._stale = True
        if kept:
            _log.warning("%s: %s; %d bytes that the logic may still write to are kept until it is configured again",
                        self.name, why, sum(buffer.nbytes for buffer in kept))

    @property
    def quarantined(self) -> int:
        """Bytes in quarantine."""
        return sum(buffer.nbytes for buffer in self._quarantined)

    def _configured(self) -> None:
        """The logic was configured: nothing of an earlier run is left in it."""
        self.in_flight, self._stale = None, False
        while self._quarantined:
            self._quarantined[-1].close()
            self._quarantined.pop()

    def check_open(self) -> None:
        """ClosedError after close()."""
        if self.closed:
            raise ClosedError(f"{self.name} is closed: open a board again")

    # -- logic --------------------------------------------------------------------------------
    @abstractmethod
    def configure(self, overlay: Any) -> None:
        """Configure the logic with an overlay; nothing happens when it is there already.

        Where a reset has failed, or buffers are in quarantine, the logic is configured in any case.
        """

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
            self.owner = None
            self.in_flight = None

    @property
    def accelerator_seconds(self) -> float:
        """Time for measuring the accelerator: modelled on an emulated board, measured on an FPGA."""
        return self.clock.now()

    def wait(self, ip: str, done: Done, timeout: float, what: str = "the accelerator",
             cancelled: Callable[[], bool] | None = None) -> int:
        """Wait until an IP shows a bit: by its interrupt where the overlay names one, else by polling.

        Parameters
        ----------
        ip : str
        done : (offset, mask) or callable(registers) -> bool
        timeout : float
            Seconds.
        what : str
            What is waited for, for the message.
        cancelled : callable() -> bool, optional
            Looked at every 50 ms at least: whether to give up, by ClosedError.

        Returns
        -------
        int
            The last value read (0/1 for a callable).
        """
        registers = self.ip(ip)
        if callable(done):
            predicate = done

            def look() -> int:
                return int(predicate(registers))
        else:
            offset, mask = done

            def look() -> int:
                return registers.read(offset) & mask
        return waiting.wait(look, self.idle, self.interrupt_line(ip), self.clock, timeout, what, cancelled)

    def interrupt_line(self, ip: str) -> waiting.Line | None:
        """The interrupt of an IP, or None where it has none."""
        return None

    def idle(self, attempt: int, elapsed: float, left: float) -> None:
        """Let time pass until the next look, after `attempt` vain ones and `elapsed` seconds."""
        self.clock.sleep(waiting.pause(elapsed, left))

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def shape_bytes(shape: int | Sequence[int], dtype: Any) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape as a tuple, dtype, and the bytes that they take."""
    wanted = "expected sizes >= 0 of a plain dtype"
    try:
        sizes = [index(n) for n in (shape if np.ndim(shape) else (shape,))]  # type: ignore
        kind = np.dtype(dtype)
    except (TypeError, ValueError) as error:
        raise BoardError(f"buffer of shape {shape!r} and dtype {dtype!r}: {wanted}") from error
    if kind.hasobject or not kind.itemsize or any(n < 0 for n in sizes):
        raise BoardError(f"buffer of shape {tuple(sizes)} and dtype {kind}: {wanted}")
    nbytes = kind.itemsize
    for size in sizes:
        nbytes *= size
    return tuple(sizes), kind, nbytes
