"""A run of the engine before it happens: which instruction has its effect when, and what ends it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any, NamedTuple, Sequence

from .twin_decode import ACTIVATIONS, BadWord, End, Instruction, Layer, Load, Program, Store
from .twin_time import Expired, Timeline, Transfer

__all__ = ["AXI_READ", "AXI_WRITE", "Counts", "Deed", "Plan", "Region", "plan"]

BAD_PROGRAM, OUT_OF_RANGE, AXI_READ, AXI_WRITE, WATCHDOG = 1, 2, 3, 4, 5
_INPUT, _OUTPUT = 1, 2  # regions that move on with the groups
_ALIGNED = 128  # bytes of a burst
_ADDRESSES = 1 << 32


class Region(NamedTuple):
    """A window of memory, as the registers say it."""

    base: int
    size: int
    stride: int


class Deed(NamedTuple):
    """An instruction that has its effect in a cycle; with the address and the words of a transfer."""

    cycle: int
    group: int
    instruction: Instruction
    address: int = 0
    transfer: Transfer | None = None


class Counts(NamedTuple):
    """The circuit's counters in a cycle."""

    cycle: int
    busy: int
    wait_load: int
    wait_store: int
    wait_drain: int


class Plan:
    """What a run does.

    Attributes
    ----------
    deeds : list of Deed
        In the order of the program.
    end : int
        The cycle in which the program ends, or the error comes.
    code : int
        Of the error that ends it, else 0.
    """

    def __init__(self) -> None:
        self.deeds: list[Deed] = []
        self.end = self.code = 0
        self._taken, self._words = [0], [0]  # when which instruction was come to
        self._groups: list[int] = []  # when they were over
        self._counts = [Counts(0, 0, 0, 0, 0)]

    def take(self, cycle: int, word: int) -> None:
        """The sequencer comes to the instruction at a word."""
        self._taken.append(cycle)
        self._words.append(word)

    def count(self, line: Timeline, cycle: int | None = None) -> None:
        """What the counters have come to, now or in a cycle."""
        cycle = line.cycle if cycle is None else cycle
        self._counts.append(Counts(cycle, line.busy, line.wait_load, line.wait_store, line.wait_drain))

    def finish_group(self, cycle: int) -> None:
        self._groups.append(cycle)

    def word_at(self, cycle: float) -> int:
        """Of the instruction that the sequencer has come to."""
        return self._words[bisect_right(self._taken, cycle) - 1]

    def groups_at(self, cycle: float) -> int:
        """How many are over."""
        return bisect_right(self._groups, cycle)

    def counts_at(self, cycle: int) -> Counts:
        """Between two instructions, in proportion."""
        after = bisect_left(self._counts, (cycle,))
        if after == len(self._counts):
            return self._counts[-1]
        late, early = self._counts[after], self._counts[max(0, after - 1)]
        if late.cycle == early.cycle:
            return late
        passed, whole = cycle - early.cycle, late.cycle - early.cycle
        return Counts(*(one + (other - one) * passed // whole for one, other in zip(early, late)))


class _Stop(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def plan(program: Program, regions: Sequence[Region], groups: int, watchdog: int, geometry: Any) -> Plan:
    """Go through a program for all groups, without looking at data."""
    made, line = Plan(), Timeline(geometry, max(1, watchdog))
    walk = _Walk(program, regions, groups, geometry["vectors"], made, line)
    try:
        walk.run()
    except BadWord:
        made.code = BAD_PROGRAM
    except _Stop as stop:
        made.code = stop.code
    except Expired as expired:
        made.code = WATCHDOG
        line.cycle = expired.cycle
    made.end = line.cycle
    if not made.code:
        made.count(line)
    return made


class _Walk:
    """The sequencer."""

    def __init__(self, program: Program, regions: Sequence[Region], groups: int, vectors: int, made: Plan,
                 line: Timeline) -> None:
        self._program, self._regions, self._groups, self._vectors = program, regions, groups, vectors
        self._plan, self._line = made, line
        self.word = 0

    def run(self) -> None:
        if not self._groups:
            raise BadWord
        for group in range(self._groups):
            self.word = 0
            while self._step(group):
                pass

    def _step(self, group: int) -> bool:
        """One instruction; whether the group goes on."""
        line, program = self._line, self._program
        try:
            instruction = program.at(self.word)
        except BadWord:
            line.fetch(1)
            self._plan.take(line.taken, self.word % program.size)
            raise
        line.fetch(program.length(instruction), isinstance(instruction, End))
        self._plan.take(line.taken, self.word)
        if self._skipped(instruction, group):
            line.skip(instruction)
        elif isinstance(instruction, End):
            line.ready(instruction)
            line.done()
            self._plan.finish_group(line.cycle)
            if group + 1 == self._groups:
                line.finish()
            return False
        else:
            self._do(instruction, group)
        self.word += program.length(instruction)
        return True

    def _skipped(self, instruction: Instruction, group: int) -> bool:
        if instruction.flags.first and group:
            return True
        return isinstance(instruction, Load) and instruction.flags.next and group + 1 == self._groups

    def _do(self, instruction: Instruction, group: int) -> None:
        line = self._line
        if isinstance(instruction, Layer):
            line.ready(instruction)
            self._plan.count(line)
            self._plan.deeds.append(Deed(line.layer(instruction), group, instruction))
            self._plan.count(line, line.free)
        elif isinstance(instruction, Load):
            group += instruction.flags.next
            line.check_access()
            address = self._address(instruction, group, instruction.words)
            line.ready(instruction)
            self._plan.count(line)
            transfer = line.load(instruction.words, instruction.target == ACTIVATIONS)
            self._plan.deeds.append(Deed(transfer.end, group, instruction, address, transfer))
        elif isinstance(instruction, Store):
            words = instruction.words * self._vectors
            line.check_access()
            if instruction.region < _OUTPUT:
                raise _Stop(OUT_OF_RANGE)
            address = self._address(instruction, group, words)
            line.ready(instruction)
            self._plan.count(line)
            transfer = line.store(words)
            self._plan.deeds.append(Deed(transfer.end, group, instruction, address, transfer))

    def _address(self, access: Load | Store, group: int, words: int) -> int:
        """Where a transfer begins; the circuit looks before it asks for anything."""
        region = self._regions[access.region]
        moved = group * region.stride if access.region in (_INPUT, _OUTPUT) else 0
        offset = moved + access.offset
        if region.base % _ALIGNED or offset % _ALIGNED or offset + 8 * words > region.size:
            raise _Stop(OUT_OF_RANGE)
        return (region.base + offset) % _ADDRESSES
