"""Plays cases on a board, whichever, through its contract, and compares what comes of them with the oracle."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

import numpy as np

from .cases import Case, Run
from .oracle import Memory, Oracle, Region

__all__ = ["Played", "Player", "Registers", "outside_writes"]


class Registers:
    """Byte offsets, and bits of CONTROL and STATUS."""

    MAGIC, VERSION, BUILD, CAPS0, CAPS1, CAPS2, SCRATCH = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18
    CONTROL, STATUS, IRQ_ENABLE, IRQ_STATUS, GROUPS, PICTURES, WATCHDOG = 0x1C, 0x20, 0x24, 0x28, 0x2C, 0x30, 0x34
    CYCLES, BUSY, WAIT_LOAD, WAIT_STORE, WAIT_DRAIN = 0x38, 0x3C, 0x40, 0x44, 0x48
    REGIONS, PROGRAM = 0x50, 0x4000
    START, ABORT, RESET = 1, 2, 4
    IS_BUSY, IS_DONE, IS_ERROR, IS_ABORTED = 1, 2, 4, 8
    PATIENCE = 0x00FFFFFF


R = Registers


class Played(NamedTuple):
    """What came of a case. `cycles`: of each run, by the circuit's counter; `fed`: words of the run in the middle."""

    words: int
    differences: list[str]
    cycles: list[int]
    fed: int


class Player:
    """Plays on one board.

    Parameters
    ----------
    board : Board
        Configured with an engine.
    ip : str
    timeout : float
        Seconds of the board's clock for one run.
    """

    def __init__(self, board: Any, ip: str = "engine_0", timeout: float = 5.0) -> None:
        self.board, self.ip, self.timeout = board, ip, timeout
        self._filled = 1024  # words of program memory that may hold something

    # -- pieces ---------------------------------------------------------------------------------------------------
    def write(self, offset: int, value: int) -> None:
        self.board.ip(self.ip).write(offset, value)

    def read(self, offset: int) -> int:
        return self.board.ip(self.ip).read(offset)

    def wait(self, bits: int = R.IS_DONE | R.IS_ERROR | R.IS_ABORTED, stray: bool = False) -> int:
        """STATUS, once it shows one of the bits and is not busy: after an error the ports are drained."""
        def idle(registers: Any) -> bool:
            status = registers.read(R.STATUS)
            return bool(status & bits and not status & R.IS_BUSY)

        for left in range(16 if stray else 0, -1, -1):
            try:
                self.board.wait(self.ip, idle, self.timeout)
                break
            except Exception:  # a board may tell of every stray access itself; the circuit has to, too
                if not left:
                    raise
        return self.read(R.STATUS)

    def write_program(self, words: Sequence[int]) -> None:
        for at in range(max(len(words), self._filled)):
            word = words[at] if at < len(words) else 0
            self.write(R.PROGRAM + 8 * at, word & 0xFFFFFFFF)
            self.write(R.PROGRAM + 8 * at + 4, word >> 32)
        self._filled = len(words)

    def prepare(self, run: Run, origin: int) -> tuple[Region, ...]:
        """Everything of a run but its start; its regions as addresses."""
        regions = tuple(
            region if number == run.absolute else region._replace(base=origin + region.base)
            for number, region in enumerate(run.regions)
        )
        for number, region in enumerate(regions):
            for place, value in enumerate(region):
                self.write(R.REGIONS + 16 * number + 4 * place, value)
        self.write(R.GROUPS, run.groups)
        self.write(R.WATCHDOG, R.PATIENCE if run.watchdog is None else run.watchdog)
        self.write_program(run.program)
        return regions

    def allocate(self, words: int) -> tuple[Any, int, np.ndarray]:
        """A buffer, the address in it where words begin, and those words."""
        buffer = self.board.allocate(8 * words + 128, np.uint8)
        skipped = -buffer.device_address % 128
        return buffer, buffer.device_address + skipped, buffer.array[skipped : skipped + 8 * words].view("<u8")

    def start(self, run: Run, origin: int) -> tuple[Region, ...]:
        """Begin a run; its regions as addresses."""
        regions = self.prepare(run, origin)
        self.write(R.IRQ_STATUS, 3)
        self.write(R.IRQ_ENABLE, 3)
        self.write(R.CONTROL, R.START)
        return regions

    # -- a case ---------------------------------------------------------------------------------------------------
    def play(self, case: Case, expected: int = 0, word: int | None = None) -> Played:
        """Play all runs of a case. `expected`, `word`: error code and program word of a hostile one."""
        buffer, origin, words = self.allocate(len(case.memory))
        with buffer:
            words[:] = case.memory
            buffer.flush()
            oracle = Oracle(*case.config)
            memory = Memory(origin, case.memory.copy())
            found = Played(0, [], [], 0)
            for run in case.runs:
                regions = self.start(run, origin)
                try:
                    status = self.wait(stray=run.absolute is not None)
                except Exception as error:  # whatever a board raises where a run has no end
                    return found._replace(
                        differences=[
                            *found.differences,
                            f"{run.name}: {type(error).__name__}: {error}; status {self.read(R.STATUS):#x}",
                        ]
                    )
                buffer.invalidate()
                if case.kind.startswith("hostile"):
                    found = self._compare_error(run, regions, status, expected, word, memory, words, found)
                else:
                    outcome = oracle.run(run.program, run.groups, regions, memory)
                    found = self._compare(run, status, outcome, memory, words, found)
                if found.differences:
                    break
        return found

    def _compare(self, run: Run, status: int, outcome: Any, memory: Memory, words: np.ndarray, found: Played) -> Played:
        differences = []
        if status & 0xFFFF != R.IS_DONE or outcome.code:
            differences.append(f"{run.name}: status {status:#x}, the oracle has code {outcome.code}")
        for name, offset, value in (
            ("pictures", R.PICTURES, outcome.pictures),
            ("words fed", R.BUSY, outcome.fed),
            ("interrupts", R.IRQ_STATUS, 1),
        ):
            if self.read(offset) != value:
                differences.append(f"{run.name}: {self.read(offset)} {name}, the oracle has {value}")
        wrong = np.flatnonzero(words != memory.words)
        if len(wrong):
            differences.append(
                f"{run.name}: {len(wrong)} of {len(words)} words differ, the first at {8 * int(wrong[0]):#x}: "
                f"{int(words[wrong[0]]):#018x}, the oracle has {int(memory.words[wrong[0]]):#018x}"
            )
        return Played(
            found.words + len(words),
            found.differences + differences,
            [*found.cycles, self.read(R.CYCLES)],
            outcome.fed if run.name == "run" else found.fed,
        )

    def _compare_error(
        self,
        run: Run,
        regions: Sequence[Region],
        status: int,
        expected: int,
        word: int | None,
        memory: Memory,
        words: np.ndarray,
        found: Played,
    ) -> Played:
        differences = []
        wanted = R.IS_ERROR | expected << 8 if expected else R.IS_DONE
        if status & 0xFFFF != wanted:
            differences.append(f"{run.name}: status {status:#x}, expected {wanted:#x}")
        elif expected and word is not None and status >> 16 != word:
            differences.append(f"{run.name}: word {status >> 16} has the error, expected {word}")
        if self.read(R.IRQ_STATUS) != (2 if expected else 1):
            differences.append(f"{run.name}: interrupts {self.read(R.IRQ_STATUS)}")
        differences += outside_writes(run.name, regions, memory, words)
        return found._replace(
            words=found.words + len(words),
            differences=found.differences + differences,
            cycles=[*found.cycles, self.read(R.CYCLES)],
        )


def outside_writes(name: str, regions: Sequence[Region], memory: Memory, words: np.ndarray) -> list[str]:
    """What was written although neither OUTPUT nor SCRATCH has it, in words."""
    outside = np.ones(len(words), dtype=bool)
    for number in (2, 3):
        start = regions[number].base - memory.origin
        outside[max(0, start // 8) : max(0, -(-(start + regions[number].size) // 8))] = False
    wrong = np.flatnonzero((words != memory.words) & outside)
    return (
        [f"{name}: {len(wrong)} words outside of OUTPUT and SCRATCH were written, the first at {8 * int(wrong[0]):#x}"]
        if len(wrong)
        else []
    )
