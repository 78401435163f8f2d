"""Twin of a foreign circuit with streams, from any Python function, behind the twins of its DMAs."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import Any

from ..contracts.clock import Clock
from ..contracts.twin import Memory, Twin
from ..errors import BusError, InputError
from ..families.blocks.axi_dma_twin import AxiDmaTwin
from ..families.blocks.axi_dma_twin_channel import DECODE, INTERNAL
from ..families.blocks.axi_stream_twin import Fifo
from .reading import load_description
from .twin_circuit import CircuitTwin

__all__ = ["StreamTwin"]

_seconds, _size = attrgetter("modelled_seconds"), attrgetter("size")


class StreamTwin(Twin):
    """The logic of an overlay of kind "stream": the circuit and its DMAs.

    The overlay is a `StreamCircuit`, which names the description and the function; or any overlay whose geometry
    has a description, and then the function is missing, so that the circuit never answers.
    """

    def __init__(self, overlay: Any, memory: Memory, clock: Clock) -> None:
        super().__init__(overlay, memory, clock)
        self.description = getattr(overlay, "streams", None) or load_description(
            overlay.geometry["description"])
        self.circuit = CircuitTwin(overlay, memory, clock, self.description, getattr(overlay, "function", None))
        self.dmas = {dma.name: self._make_dma(dma) for dma in self.description.dmas}
        self.circuit.inject_delay = self.inject_delay
        self._blocks: list[Any] = [self.circuit, *self.dmas.values()]
        self._channels = [channel for dma in self.dmas.values() for channel in dma.channels]
        self._inputs = [self.circuit.queues[stream.name] for stream in self.description.inputs]
        self._settling = False
        self.error: BaseException | None = None  # of the function; the next access raises it

    def _make_dma(self, dma: Any) -> AxiDmaTwin:
        ends = []
        for group in (self.description.inputs, self.description.outputs):
            names = [stream.name for stream in group if stream.dma == dma.name]
            ends.append(self.circuit.queues[names[0]] if names else Fifo())
        twin = AxiDmaTwin(self.overlay, self.memory, self.clock, dma, *ends)
        for stream in self.description.streams:
            if stream.dma == dma.name:
                twin.beat_bytes[stream in self.description.inputs] = stream.beat_bits // 8
        twin.parent = self
        return twin

    def ip(self, name: str) -> Twin:
        if name in self.dmas:
            return _Door(self, self.dmas[name])
        if name == self.description.ip and self.description.control == "start":
            return _Door(self, self.circuit)
        raise BusError("ip {!r}: the logic has {}".format(name, ", ".join([*self.dmas, self.description.ip])))

    def read(self, offset: int) -> int:
        raise BusError("the logic has several windows: take one of them by ip()")

    def write(self, offset: int, value: int) -> None:
        raise BusError("the logic has several windows: take one of them by ip()")

    def reset(self) -> None:
        for block in self._blocks:
            block.reset()

    def inject(self, fault: Any) -> None:
        for block in self._blocks:
            block.inject(fault)

    def clear_injected(self) -> None:
        for block in self._blocks:
            block.clear_injected()

    # -- time ---------------------------------------------------------------------------------
    def settle(self) -> None:
        if self._settling or self.error is not None:
            return
        for channel in self._channels:
            if channel.job is not None and (channel.sends or channel.fifo.size):
                break
        else:  # no transfer can go on; nor can the circuit, without an input
            if self.circuit.registers is None and not any(map(_size, self._inputs)):
                self.modelled_seconds = sum(map(_seconds, self._blocks))
                return
        self._settling = True
        try:
            now = self.clock.now()
            moved = True
            while moved:
                moved = False
                for block in self._blocks:
                    if block.pump(now):
                        moved = True
                        break  # what comes first goes on first
        except (BusError, InputError) as error:
            self.error = error
        finally:
            self._settling = False
        self.modelled_seconds = sum(map(_seconds, self._blocks))

    @property
    def busy_until(self) -> float | None:
        moment = min(block.next_moment for block in self._blocks)
        if math.isfinite(moment):
            return max(moment, self.clock.now())
        waiting = any(block.busy_until is not None for block in self._blocks)
        return math.inf if waiting else None

    @property
    def interrupt(self) -> bool:
        return any(block.interrupt for block in self._blocks)

    # -- injected faults ----------------------------------------------------------------------
    def check(self) -> None:
        """Raise what the function raised, once."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def inject_delay(self, seconds: float) -> float:
        """Seconds of a transfer into the circuit, which may be the run that a fault is planned for."""
        fault = None if self.faults is None else self.faults.draw()
        if fault is None:
            return seconds
        kind = fault.kind
        if kind == "hang":
            return math.inf
        if kind == "slow":
            return seconds + fault.extra_seconds
        if kind == "corrupt word":
            self.circuit.corrupt = fault.place
        elif kind == "reprogrammed" and self.reprogrammed is not None:
            self.reprogrammed()
        for each in self.dmas.values():
            if kind == "lost done":
                each.s2mm.lost = True
            elif kind == "done without data":
                each.swallow = True
            elif kind == "bus error":
                each.s2mm.fail(DECODE)
            elif kind == "early done":  # the nearest that a DMA has: TLAST at the wrong place
                each.s2mm.fail(INTERNAL)
        return seconds


class _Door(Twin):
    """The window of one block: what goes through it is told to the plan of faults, and meets pending errors."""

    def __init__(self, logic: StreamTwin, block: Twin) -> None:
        self._logic, self._block = logic, block

    def read(self, offset: int) -> int:
        logic = self._logic
        if logic.faults is not None:
            logic.faults.touch()
        value = self._block.read(offset)
        if logic.error is not None:
            logic.check()
        if logic.faults is not None:
            logic.faults.touch()
        return value

    def write(self, offset: int, value: int) -> None:
        logic = self._logic
        if logic.faults is not None:
            logic.faults.touch()
        self._block.write(offset, value)
        logic.settle()
        if logic.error is not None:
            logic.check()
        if logic.faults is not None:
            logic.faults.touch()

    def reset(self) -> None:
        self._block.reset()

    def settle(self) -> None:
        self._logic.settle()

    @property
    def busy_until(self) -> float | None:
        return self._logic.busy_until

    @property
    def interrupt(self) -> bool:
        return self._block.interrupt
