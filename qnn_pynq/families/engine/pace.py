"""The compiler's model of time: how long programs take, what each layer waits for; memory is taken as undisturbed."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from .program import Instruction, Layer, Load, Store

__all__ = ["Clock", "Named", "group_waits", "instruction_cycles", "program_cycles", "results_cycles"]

_LATENCY = 30  # cycles that a layer waits for the last results of the one before, about
_START = 50  # of a run: its first instruction, and the last results on their way
_ISSUE = 6  # from the end of an instruction to the first word of the next one
_MEMORY = 30  # from the address of a burst to its first word, and what follows the last one
_NEVER = 255  # of `safe`


class Named(NamedTuple):
    """An instruction, and the index of the network's layer that it is for."""

    layer: int | None
    one: Instruction


def results_cycles(one: Layer, geometry: Any) -> int:
    """From one row group to the next: results leave a cluster element by element, and the clusters plane by plane."""
    if one.pool:
        return 0
    if one.raw:
        return 16 * one.levels
    return max(4 * one.levels, geometry["pe"] // 4 + one.out_bits, 8)


def instruction_cycles(one: Instruction, geometry: Any) -> int:
    """Of the array."""
    if not isinstance(one, Layer):
        return 0
    cycles = one.rows * max(one.passes * one.taps, results_cycles(one, geometry))
    return cycles + (0 if one.safe == _NEVER else max(0, _LATENCY - one.safe))


class Clock:
    """Layers one behind the other, loads and stores beside them.

    Attributes
    ----------
    now : int
        When the latest instruction was over; of a load or a store: had begun.
    """

    def __init__(self, geometry: Any) -> None:
        self._geometry = geometry
        self.now = self._store = 0
        self._loads = [0, 0]  # ends of the last two

    def under_way(self, moment: int) -> int:
        """Loads that are not over then."""
        return sum(end > moment for end in self._loads)

    @property
    def loaded(self) -> int:
        """When all loads are over."""
        return self._loads[-1]

    @property
    def over(self) -> int:
        """When everything is."""
        return max(self.now, self._loads[-1], self._store)

    def issue(self, one: Instruction, cycles: int | None = None) -> int:
        """The cycles that it waits for loads; `cycles` of the array, where they are known."""
        begun = self.now
        if one.flags.wait_load:
            self.now = max(self.now, self._loads[-1])
        if isinstance(one, Load):  # two may be under way
            self.now = max(self.now, self._loads[0])
        waited = self.now - begun
        if one.flags.wait_store:
            self.now = max(self.now, self._store)
        self.now += _ISSUE
        if isinstance(one, Load):
            self._loads = [self._loads[1], max(self._loads[1], self.now) + _MEMORY + one.words]
        elif isinstance(one, Store):
            self.now = max(self.now, self._store)
            self._store = self.now + _MEMORY + one.words * self._geometry["vectors"]
        else:
            self.now += instruction_cycles(one, self._geometry) if cycles is None else cycles
        return waited


def program_cycles(program: Sequence[Named], geometry: Any, groups: int) -> int:
    """Of a program for so many groups."""
    seen = []
    cycles = [instruction_cycles(one, geometry) for _, one in program]
    for count in (2, 3):
        clock = Clock(geometry)
        for group in range(min(groups, count)):
            _group(program, cycles, clock, group, group == min(groups, count) - 1)
        seen.append(clock.over)
    return _START + seen[1] + max(0, groups - 3) * (seen[1] - seen[0])


def group_waits(program: Sequence[Named], geometry: Any) -> dict[int | None, int]:
    """Cycles by layer that a group in the middle of a batch waits for loads."""
    cycles = [instruction_cycles(one, geometry) for _, one in program]
    clock = Clock(geometry)
    for group in range(3):
        _group(program, cycles, clock, group, False)
    return _group(program, cycles, clock, 3, False)


def _group(program: Sequence[Named], cycles: Sequence[int], clock: Clock, group: int,
           last: bool) -> dict[int | None, int]:
    waits: dict[int | None, int] = {}
    for (layer, one), count in zip(program, cycles):
        if one.flags.first and group or one.flags.next and last:
            continue
        waits[layer] = waits.get(layer, 0) + clock.issue(one, count)
    return waits
