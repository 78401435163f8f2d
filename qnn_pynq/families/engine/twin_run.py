"""One run of the engine: what is due of a plan is done to memories and banks."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from ...contracts.twin import Memory
from ...errors import BusError
from .twin_array import Array
from .twin_decode import Layer, Load, Store
from .twin_memories import Memories
from .twin_plan import AXI_READ, AXI_WRITE, Deed, Plan
from .twin_time import Transfer, quiet

__all__ = ["Run"]

_ALL = 1 << 62  # cycles


class Run:
    """A run under way.

    Parameters
    ----------
    plan : Plan
    memory : Memory
    memories : Memories
    array : Array

    Attributes
    ----------
    code, word : int
        The error that ends it, and the instruction that the sequencer had come to; code 0: none.
    failed : bool
        Whether memory was what ended it.
    end : int
        The cycle in which it ends: as planned, unless something happens before.
    over : int
        The cycle in which the ports are quiet, too, and the circuit is idle.
    left_out : set of int
        Deeds that have no effect (an injected fault).
    broken : dict
        Deeds whose data get a word turned round, and which (an injected fault).
    denied : int or None
        The deed that memory answers with an error (an injected fault).
    """

    def __init__(self, plan: Plan, memory: Memory, memories: Memories, array: Array) -> None:
        self.plan = plan
        self.code, self.end = plan.code, plan.end
        self.word = plan.word_at(plan.end)
        self.failed = False
        self.over = quiet(_transfers(plan.deeds), self.end) if self.code else self.end
        self.left_out: set[int] = set()
        self.broken: dict[int, int] = {}
        self.denied: int | None = None
        self._memory, self._memories, self._array = memory, memories, array
        self._next = 0

    def advance(self, cycle: float) -> None:
        """Do what is over by this cycle."""
        deeds = self.plan.deeds
        while self._next < len(deeds) and deeds[self._next].cycle <= min(cycle, self.end):
            self._attempt(_ALL)
        if cycle >= self.end:
            self._cut(self.end)

    def stop(self, cycle: int) -> None:
        """End it here."""
        self.advance(cycle)
        if cycle < self.end:
            self.end, self.over = cycle, quiet(_transfers(self.plan.deeds), cycle)
            self._cut(cycle)

    def _cut(self, cycle: int) -> None:
        """What is not over has the effect of the bursts that are begun; a layer's results stay out."""
        while self._next < len(self.plan.deeds):
            transfer = self.plan.deeds[self._next].transfer
            begun = 0 if transfer is None else transfer.begun(cycle)
            self._attempt(_ALL if self.plan.deeds[self._next].cycle <= cycle else begun)

    def _attempt(self, words: int) -> None:
        number, deed = self._next, self.plan.deeds[self._next]
        self._next += 1
        if number in self.left_out or not words:
            return
        try:
            if number == self.denied:
                raise BusError("a decode error (injected)")
            self._do(deed, words, self.broken.get(number))
        except BusError:
            assert deed.transfer is not None
            moment = deed.transfer.answered
            if not self.code or moment <= self.end:
                self.code = AXI_READ if isinstance(deed.instruction, Load) else AXI_WRITE
                self.end = min(self.end, moment)
                self.word = self.plan.word_at(self.end)  # of the instruction that the sequencer has come to
                self.over = quiet(_transfers(self.plan.deeds), self.end)
                self.failed = True

    def _do(self, deed: Deed, words: int, broken: int | None) -> None:
        instruction = deed.instruction
        if isinstance(instruction, Layer):
            self._array.run(instruction, deed.group)
        elif isinstance(instruction, Load):
            words = min(words, instruction.words)
            data = self._memory.read(deed.address, 8 * words).view("<u8").astype(np.uint64)
            self._memories.load(instruction, deed.group, _turned(data, broken))
        elif isinstance(instruction, Store):
            data = self._memories.stored(instruction, deed.group)[:words]
            self._memory.write(deed.address, _turned(data, broken).astype("<u8").view(np.uint8))


def _turned(data: np.ndarray, place: int | None) -> np.ndarray:
    """With some bits of one word turned round."""
    if place is not None:
        data[place % data.size] ^= np.uint64(1 + place % (2**64 - 1))
    return data


def _transfers(deeds: Sequence[Deed]) -> list[Transfer]:
    return [deed.transfer for deed in deeds if deed.transfer is not None]
