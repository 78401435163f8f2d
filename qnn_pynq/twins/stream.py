"""Twin of a foreign circuit with streams, from any Python function, behind the twins of its DMAs."""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np

from ..boards.clock import Clock
from ..errors import BusError, InputError
from ..interface.description import Description, Stream
from ..interface.reading import load_description
from ..interface.values import decode
from .axi_dma import DECODE, INTERNAL, AxiDmaTwin
from .axi_stream import Fifo
from .base import Memory, Twin
from .stream_function import call_function, output_words
from .stream_registers import StartRegisters

__all__ = ["CircuitTwin", "StreamTwin"]

_OUTPUT_FIFO = 16  # bytes, beside the sample that is being written


class CircuitTwin(Twin):
    """The circuit: takes samples from its streams, calls the function, gives samples to its streams.

    Like the hardware it counts beats and looks at TLAST where the description says so, and nowhere else: a packet of
    the wrong length shifts every later sample. It stops taking data while its outputs are not taken.
    """

    def __init__(self, overlay: Any, memory: Memory, clock: Clock, description: Description,
                 function: Callable[..., Any] | None) -> None:
        super().__init__(overlay, memory, clock)
        self.description = description
        self.function = function
        self.queues = {stream.name: Fifo(max(64, stream.sample_bytes)) for stream in description.inputs}
        self.queues.update({stream.name: Fifo(_OUTPUT_FIFO) for stream in description.outputs})
        self.cycle = 1e-6 / description.clock_mhz
        self.corrupt: Any = None  # an injected fault: bits to turn round in the next sample
        self.registers = StartRegisters(description.arguments) if description.control == "start" else None
        self.reset()

    def reset(self) -> None:
        self.free_at = 0.0  # when the next sample may begin
        self.done_at: float | None = None  # of a run that was started, all of whose samples are in
        self.samples = 0  # since the start, or ever
        self.hung = False
        for queue in self.queues.values():
            queue.clear()
        if self.registers is not None:
            self.registers.reset()

    # -- bus ----------------------------------------------------------------------------------
    def read(self, offset: int) -> int:
        self._access()
        return self.registers.read(offset) if self.registers is not None else 0

    def write(self, offset: int, value: int) -> None:
        self._access()
        if self.registers is not None and self.registers.write(offset, value):
            self.samples, self.done_at = 0, None
        self.settle()

    def _access(self) -> None:
        self.clock.elapse(12 * self.cycle)
        self.modelled_seconds += 12 * self.cycle
        self.settle()

    # -- work ---------------------------------------------------------------------------------
    def settle(self) -> None:
        self.pump(self.clock.now())

    def pump(self, now: float) -> bool:
        """Work on one sample if it is all there; whether it was."""
        if self.hung:
            return False
        registers = self.registers
        if registers is not None:
            if self.done_at is not None and now >= self.done_at:
                self.done_at = None
                registers.finish()
                return True
            if not registers.busy or self.done_at is not None:
                return False
            if self.samples >= registers.values["samples"]:
                self.done_at = max(now, self.free_at)
                return True
        ready = self._ready()
        if ready > now:
            return False
        try:
            self._work(max(ready, self.free_at))
        except BusError:
            self.hung = True  # as HLS's masters do
            raise
        return True

    def _ready(self) -> float:
        """When the next sample is all there and its outputs have room; inf where that needs somebody else."""
        latest = 0.0
        for stream in self.description.inputs:
            if stream.dma is not None:
                latest = max(latest, self.queues[stream.name].moment(stream.sample_bytes))
        for stream in self.description.outputs:
            if stream.dma is not None and not self.queues[stream.name].room:
                return math.inf
        return latest

    def _work(self, begin: float) -> None:
        description, arguments, lasts = self.description, {}, []
        for stream in description.inputs:
            if stream.dma is None:
                data = self.memory.read(self._address(stream), stream.sample_bytes)
            else:
                data, last = self.queues[stream.name].take(stream.sample_bytes)
                if stream.tlast == "batch":
                    lasts.append(last)
            words = np.frombuffer(data.tobytes(), stream.type.container).reshape(1, -1)
            arguments[stream.name] = decode(stream, words)[0]
        results = call_function(self.function, description, arguments)
        self.samples += 1
        moment = begin + (description.cycles_per_sample + description.latency_cycles) * self.cycle
        self.free_at = begin + description.cycles_per_sample * self.cycle
        self.modelled_seconds += description.cycles_per_sample * self.cycle
        if self.registers is not None:
            ends = self.samples == self.registers.values["samples"]
            self.free_at = moment if ends else self.free_at
        else:
            ends = any(lasts)
        for stream in description.outputs:
            data = output_words(stream, results[stream.name])
            data = np.ascontiguousarray(self._hook("data", data)).view(np.uint8).reshape(-1)
            if self.corrupt is not None:
                data = data.copy()
                data[self.corrupt % data.size] ^= 1 + self.corrupt % 255
                self.corrupt = None
            if stream.dma is None:
                self.memory.write(self._address(stream), data)
            else:
                self.queues[stream.name].put(data, ends or stream.tlast == "sample", moment)

    def _address(self, stream: Stream) -> int:
        assert self.registers is not None
        return int(self.registers.values[stream.name]) + (self.samples if stream in self.description.inputs
                                                          else self.samples - 1) * stream.sample_bytes

    @property
    def next_moment(self) -> float:
        """When something happens by itself; inf: never."""
        if self.hung:
            return math.inf
        if self.registers is not None:
            if self.done_at is not None:
                return self.done_at
            if not self.registers.busy:
                return math.inf
        return self._ready()

    @property
    def busy_until(self) -> float | None:
        if self.registers is not None and not self.registers.busy:
            return None
        moment = self.next_moment
        return None if math.isinf(moment) and self.registers is None else moment

    @property
    def interrupt(self) -> bool:
        self.settle()
        return self.registers is not None and self.registers.interrupt


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
        self._blocks: list[Any] = [self.circuit, *self.dmas.values()]
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

    def heal(self) -> None:
        for block in self._blocks:
            block.heal()

    # -- time ---------------------------------------------------------------------------------
    def settle(self) -> None:
        if self._settling or self.error is not None:
            return
        self._settling = True
        try:
            now = self.clock.now()
            while any(block.pump(now) for block in self._blocks):
                pass
        except (BusError, InputError) as error:
            self.error = error
        finally:
            self._settling = False
        self.modelled_seconds = sum(block.modelled_seconds for block in self._blocks)

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

    def touch(self) -> None:
        """Where an injected signal may come."""
        if self.faults is not None:
            self.faults.touch()

    def strike(self, seconds: float) -> float:
        """Seconds of a transfer into the circuit, which may be the run that a fault is planned for."""
        fault = None if self.faults is None else self.faults.strike()
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
        self._logic.touch()
        value = self._block.read(offset)
        self._logic.check()
        self._logic.touch()
        return value

    def write(self, offset: int, value: int) -> None:
        self._logic.touch()
        self._block.write(offset, value)
        self._logic.settle()
        self._logic.check()
        self._logic.touch()

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
