"""The circuit itself: samples in, the user's function, samples out."""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np

from ..contracts.clock import Clock
from ..contracts.twin import Memory, Twin
from ..errors import BusError
from ..families.blocks.axi_stream_twin import Fifo
from .description import Description, Stream
from .twin_function import call_function, output_words
from .twin_registers import StartRegisters
from .values import decode

__all__ = ["CircuitTwin"]

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
        self._sources = [(self.queues[stream.name], stream.sample_bytes) for stream in description.inputs
                         if stream.dma is not None]
        self._sinks = [self.queues[stream.name] for stream in description.outputs if stream.dma is not None]
        self.cycle = 1e-6 / description.clock_mhz
        self.inject_delay: Callable[[float], float] | None = None  # of the whole logic: seconds after injected faults
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
            if self.inject_delay is not None and all(stream.dma is None for stream in self.description.inputs):
                extra = self.inject_delay(0.0)  # else the transfer into the circuit is what a fault is planned for
                self.hung = math.isinf(extra)
                self.free_at = self.clock.now() + extra
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
        for queue, nbytes in self._sources:
            if queue.size < nbytes:
                return math.inf
            latest = max(latest, queue.moment(nbytes))
        for queue in self._sinks:
            if queue.size >= queue.capacity:
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
