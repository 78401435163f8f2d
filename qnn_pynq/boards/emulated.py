"""A board without hardware: twins for the logic, and memory as the chip has it."""
from __future__ import annotations

import bisect
import logging
import weakref
from typing import Any, Callable, Tuple

import numpy as np

from ..contracts.board import Board, Buffer, Done, Registers, shape_bytes
from ..contracts.chip import DDR_PL, PAGE
from ..contracts.clock import Clock, RealClock, VirtualClock
from ..contracts.families import twin_class
from ..contracts.program import check_program, run_plainly
from ..contracts.twin import Memory, Twin
from ..contracts.waiting import LONGEST
from ..errors import BoardError, BusError, ClosedError, InputError
from ..faults import FaultPlan

__all__ = ["EmulatedBoard", "EmulatedBuffer", "EmulatedMemory", "TwinRegisters", "next_look"]

_log = logging.getLogger(__name__)
_KEPT = 1024  # programs that were checked, by window
_Block = Tuple[int, np.ndarray, object]
_PLACED = object()  # key of what `place` put there


class EmulatedMemory(Memory):
    """The logic's view of every live buffer: bounded, and nothing outside of them.

    Parameters
    ----------
    limit : int
        Bytes, in whole pages.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # (start, bytes, key), sorted; one list, so that an interrupt or a finalizer finds all or none.
        self._blocks: list[_Block] = []
        self._placed = 0  # pages of it, in bytes

    @property
    def used(self) -> int:
        """Bytes of the live buffers, in whole pages."""
        return sum(self._pages(block.size) for _, block, _ in list(self._blocks))

    def blocks(self) -> list[tuple[int, np.ndarray]]:
        """Address and bytes of every live buffer, by address."""
        return [(start, block) for start, block, _ in list(self._blocks)]

    @staticmethod
    def _pages(nbytes: int) -> int:
        return max(1, -(-nbytes // PAGE)) * PAGE

    def allocate(self, nbytes: int, key: object = None) -> tuple[int, np.ndarray]:
        """First fit: (page aligned address, the logic's zeroed bytes), until `free`, or `drop` of the key."""
        need, address = self._pages(nbytes), DDR_PL
        for start, block, _ in list(self._blocks):
            if start - address >= need:
                break
            address = start + self._pages(block.size)
        if address + need > DDR_PL + self.limit:
            raise BoardError(
                f"contiguous memory: {nbytes} bytes asked for, {self.used} of {self.limit} in use; "
                "close other buffers, use smaller batches, or give the board a larger memory_limit")
        return address, self._insert(address, nbytes, key)

    def place(self, address: int, nbytes: int) -> np.ndarray:
        """Zeroed bytes at an address that another board chose, until `free`.

        Raises
        ------
        BoardError
            More than the limit, or where another buffer is.
        """
        need = self._pages(nbytes)
        if self._placed + need > self.limit:
            raise BoardError(f"{nbytes} bytes at {address:#x}, beside {self._placed}: more than {self.limit >> 20} MiB")
        behind = self._place(address + 1)
        before = self._blocks[behind - 1] if behind else None
        after = self._blocks[behind] if behind < len(self._blocks) else None
        if (before and address < before[0] + max(1, before[1].size)) or (after and address + nbytes > after[0]):
            raise BoardError(f"{nbytes} bytes at {address:#x}: another buffer is there")
        block = self._insert(address, nbytes, _PLACED)
        self._placed += need
        return block

    def _insert(self, address: int, nbytes: int, key: object) -> np.ndarray:
        block = np.zeros(nbytes, np.uint8)
        entry = address, block, key
        self._blocks.insert(self._place(address), entry)
        return block

    def _place(self, address: int) -> int:
        """Of the first block at or behind an address."""
        sought: Any = (address,)  # sorts before a triple with the same start
        return bisect.bisect_left(self._blocks, sought)

    def free(self, address: int) -> bool:
        """Forget the buffer that starts at `address`; whether there was one."""
        place = self._place(address)
        if place >= len(self._blocks) or self._blocks[place][0] != address:
            return False
        _, block, key = self._blocks[place]
        del self._blocks[place]
        if key is _PLACED:
            self._placed -= self._pages(block.size)
        return True

    def drop(self, key: object) -> None:
        """Forget the buffer of a key, and nobody else's that lies there by now."""
        for start, _, other in list(self._blocks):
            if other is key:
                self.free(start)

    def clear(self) -> None:
        """Forget every buffer."""
        self._blocks, self._placed = [], 0

    def read(self, address: int, nbytes: int) -> np.ndarray:
        place = self._place(address + 1) - 1
        if place >= 0:
            first, block, _ = self._blocks[place]
            start = address - first
            if start + nbytes <= block.size:
                return block[start:start + nbytes]
        raise BusError(f"the logic accessed {address:#x}..{address + nbytes:#x}, outside every live buffer; "
                       "check the addresses, numReps, and that no buffer was closed during the run")

    def write(self, address: int, data: np.ndarray) -> None:
        self.read(address, data.size)[:] = data


class EmulatedBuffer(Buffer):
    """Buffer with a processor's and a logic's copy; flush and invalidate copy between them."""

    def __init__(self, board: EmulatedBoard, shape: tuple[int, ...], dtype: np.dtype, nbytes: int) -> None:
        self._board = board
        self.nbytes = nbytes
        self._drop, self._key = board.memory.drop, object()
        # Before there is anything to drop: an interrupt may come at any time.
        self._release = weakref.finalize(self, self._drop, self._key)
        self.device_address, self._logic = board.memory.allocate(nbytes, self._key)
        self._array = np.zeros(shape, dtype)
        self._bytes = self._array.reshape(-1).view(np.uint8)

    @property
    def array(self) -> np.ndarray:
        if self._board.closed or self.closed:
            self._check()
        return self._array

    def _check(self) -> None:
        self._board.check_open()
        if self.closed:
            raise ClosedError(f"buffer at {self.device_address:#x} is closed: allocate another")

    def flush(self, nbytes: int | None = None) -> None:
        self._move(self._logic, self._bytes, nbytes)

    def invalidate(self, nbytes: int | None = None) -> None:
        self._move(self._bytes, self._logic, nbytes)

    def _move(self, target: np.ndarray, source: np.ndarray, nbytes: int | None) -> None:
        board = self._board
        if board.closed or self.closed:
            self._check()
        faults, twin = board.faults, board.twin
        if faults is not None:
            faults.touch()
        if twin is not None:
            twin.settle()
        target[:nbytes] = source[:nbytes]
        if faults is not None:
            faults.touch()

    def close(self) -> None:
        if not self.closed:
            try:
                self._board.settle()  # results that are due still arrive; later ones meet a bus error
            finally:
                # The flag last, and not by the finalizer, which runs once: an interrupted close() can be called again.
                self._drop(self._key)
                self.closed = True


class TwinRegisters(Registers):
    """Window onto one IP of a twin, whatever holds the twin.

    Parameters
    ----------
    twin : Twin
        Of this IP.
    window : int
        Bytes.
    clock : Clock
    skip : callable(attempt, left)
        Lets time pass when a program has to wait.
    """

    def __init__(self, twin: Twin, window: int, clock: Clock, skip: Callable[[int, float], None]) -> None:
        self._twin, self.window = twin, window
        self._clock, self._skip = clock, skip
        self._good: dict[int, np.ndarray] = {}  # programs that were checked

    def _target(self) -> Twin:
        return self._twin

    def read(self, offset: int) -> int:
        if offset.__class__ is not int or offset & 3 or not 0 <= offset < self.window:
            offset = self.check(offset)
        return self._target().read(offset)

    def write(self, offset: int, value: int) -> None:
        if not 0 <= value <= 0xFFFFFFFF:
            raise BoardError(f"register value {value}: expected 0..2**32-1")
        if offset.__class__ is not int or offset & 3 or not 0 <= offset < self.window:
            offset = self.check(offset)
        self._target().write(offset, value)

    def run_program(self, program: np.ndarray, timeout: float) -> None:
        twin = self._target()
        if self._good.get(id(program)) is not program:
            check_program(program, self.window)
            if not program.flags.writeable:  # it stays as it is
                if len(self._good) == _KEPT:
                    self._good.clear()
                self._good[id(program)] = program
        if not twin.run_program(program, timeout):
            run_plainly(self, program, self._clock, timeout, self._skip)

    def wait(self, offset: int, mask: int, timeout: float) -> int:
        """As `Twin.wait`."""
        return self._target().wait(offset, mask, timeout)


class _BoardRegisters(TwinRegisters):
    """Valid until the logic is configured again."""

    def __init__(self, board: EmulatedBoard, logic: Twin, name: str, window: int) -> None:
        super().__init__(logic.ip(name), window, board.clock, board.skip)
        self._board, self._logic = board, logic

    def _target(self) -> Twin:
        if self._board.closed:
            self._board.check_open()
        if self._board.twin is not self._logic:
            raise BusError("the logic was configured again: take the registers from board.ip() anew")
        return self._twin


def next_look(twin: Twin, now: float, attempt: int, left: float) -> float:
    """When to look at a twin again, after `attempt` vain looks: at the end of its run, or when time is up."""
    until = twin.busy_until
    if until is not None and attempt:
        until = max(until, now + 1e-6 * 2.0 ** min(attempt, 60))  # it restarts itself, for ever
    return now + left if until is None else min(until, now + left)


class EmulatedBoard(Board):
    """A board on any machine: the same driver code, the same words, no pynq.

    Parameters
    ----------
    memory_limit : int
        Bytes of contiguous memory (the CMA of the PYNQ images is 128 MiB).
    clock : Clock, optional
        Default: a virtual clock, on which waiting costs no real time.
    realtime : bool
        Take as long as the modelled circuit does.
    faults : FaultPlan, optional
        What goes wrong, and when.

    Attributes
    ----------
    twin : Twin or None
        The emulated logic of the loaded overlay.
    memory : EmulatedMemory
    """

    name = "emulated board"
    kind = "emulated"
    emulated = True

    def __init__(self, memory_limit: int = 128 << 20, clock: Clock | None = None,
                 realtime: bool = False, faults: FaultPlan | None = None) -> None:
        if not isinstance(memory_limit, (int, np.integer)) or memory_limit < 1:
            raise InputError(f"memory_limit {memory_limit!r}: expected a whole number of bytes above 0, "
                             "such as 128 << 20")
        super().__init__(clock if clock is not None else RealClock() if realtime else VirtualClock())
        self.memory = EmulatedMemory(int(memory_limit))
        self.faults = faults
        self.twin: Twin | None = None
        self._overlay: Any = None
        self._modelled = 0.0  # of twins that are gone
        self._registers: dict[str, _BoardRegisters] = {}
        self._jumps = isinstance(self.clock, VirtualClock)

    def configure(self, overlay: Any) -> None:
        with self.lock:
            self.check_open()
            same = overlay is self._overlay or (self._overlay is not None and overlay == self._overlay)
            if not same or self._stale:
                self._configure(overlay)

    def _configure(self, overlay: Any) -> None:
        twin = self._make_twin(overlay)
        twin.faults, twin.reprogrammed = self.faults, self.forget
        if self.twin is not None:
            self._modelled += self.twin.modelled_seconds
        self.twin, self._overlay = twin, overlay
        self._registers = {ip.name: _BoardRegisters(self, twin, ip.name, ip.range) for ip in overlay.ips}
        self.generation += 1
        self._configured()
        _log.debug("emulated board: configured with %s", overlay.name)

    def _make_twin(self, overlay: Any) -> Twin:
        return twin_class(overlay.kind)(overlay, self.memory, self.clock)

    @property
    def loaded(self) -> Any:
        return self._overlay

    def ip(self, name: str) -> Registers:
        if self.closed:
            self.check_open()
        if name not in self._registers:
            raise BoardError("ip {!r}: the logic has {}".format(
                name, ", ".join(self._registers) or "no overlay; load one first"))
        return self._registers[name]

    def allocate(self, shape: int | tuple[int, ...], dtype: Any = np.uint8) -> Buffer:
        with self.lock:
            self.check_open()
            self.settle()
            sizes, kind, nbytes = shape_bytes(shape, dtype)
            if self.faults is not None:
                self.faults.check_allocation(nbytes)
            return EmulatedBuffer(self, sizes, kind, nbytes)

    def touch(self) -> None:
        """Where an injected signal may come."""
        if self.faults is not None:
            self.faults.touch()

    def settle(self) -> None:
        """Let the logic do what is due by the clock."""
        if self.twin is not None:
            self.twin.settle()

    def skip(self, attempt: int, left: float) -> None:
        """Move on to the end of the run in flight, or by `left` seconds when there is none."""
        self.touch()
        if self.twin is not None:
            self.clock.sleep_until(next_look(self.twin, self.clock.now(), attempt, left))
            self.twin.settle()

    def wait(self, ip: str, done: Done, timeout: float, what: str = "the accelerator",
             cancelled: Callable[[], bool] | None = None) -> int:
        if self._jumps and not callable(done) and ip in self._registers and not (cancelled and cancelled()):
            found = self._registers[ip].wait(*done, timeout)
            if found:
                return found
        return super().wait(ip, done, timeout, what, cancelled)

    def idle(self, attempt: int, elapsed: float, left: float) -> None:
        if self._jumps:
            self.skip(attempt, left)
        else:  # in steps, so that a wait can be cancelled, and not later than by a millisecond
            self.skip(min(attempt, 10), min(left, LONGEST))

    def reset(self) -> None:
        with self.lock:
            self.check_open()
            if self._overlay is not None:
                self._stale = True
                self._configure(self._overlay)
            else:
                self._configured()  # an empty logic runs nothing

    def forget(self) -> None:
        """Empty logic, as after power-up or when somebody else reprogrammed it (for tests)."""
        with self.lock:
            if self.twin is not None:
                self._modelled += self.twin.modelled_seconds
            self.twin, self._overlay, self._registers, self.in_flight = None, None, {}, None
            self.generation += 1

    @property
    def modelled_seconds(self) -> float:
        """FPGA time so far by the cycle model: register accesses and runs, never emulation time."""
        return self._modelled + (self.twin.modelled_seconds if self.twin is not None else 0.0)

    accelerator_seconds = modelled_seconds

    def close(self) -> None:
        with self.lock:
            if not self.closed:
                super().close()
                self.forget()
                self._configured()
                self.memory.clear()
