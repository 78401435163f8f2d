"""Transfers of a circuit with streams: buffers to packets, packets to buffers, under one deadline."""

from __future__ import annotations

import logging
from operator import attrgetter, methodcaller
from typing import Any, Callable, Mapping, Optional

import numpy as np

from ..contracts.board import Board, Buffer, close_all
from ..errors import DeadlineError, ForeignBitstreamError, NoDataError, QnnError
from ..families.blocks.axi_dma import AxiDma
from ..families.blocks.hls_control import CTRL, DONE, NEVER, START, check_control, drop_done
from .packets import batch_packets, sample_strides

__all__ = ["Transfers"]

_log = logging.getLogger(__name__)
_poll, _through = methodcaller("poll"), attrgetter("done")
Cancelled = Optional[Callable[[], bool]]
_LEAST_SENTINEL = 4  # bytes: less could be a result


class Transfers:
    """Moves one batch through a circuit.

    Parameters
    ----------
    board : Board
        With the overlay loaded.
    overlay : StreamCircuit
    engine : "own" or "pynq"
        Who drives the DMAs: our driver, or pynq's (on an FPGA only).
    """

    def __init__(self, board: Board, overlay: Any, engine: str = "own") -> None:
        self.board, self.description = board, overlay.streams
        self._strides = sample_strides(self.description)
        self._generation = -1
        self._sentinel = 0  # the same in the same runs: a recording of them can be replayed
        self._make: Any = AxiDma
        if engine == "pynq":
            from ..families.blocks.axi_dma_pynq import PynqDma

            self._make = PynqDma
        self.dmas: dict[str, Any] = {dma.name: self._make(board, dma) for dma in self.description.dmas}

    def prepare(self) -> None:
        """Once after each configuration of the logic: are the DMAs what the description says, and at rest?"""
        if self._generation == self.board.generation:
            return
        for name, dma in self.dmas.items():
            receives = any(stream.dma == name for stream in self.description.outputs)
            channel = dma.receive if receives else dma.send
            dma.check_present(channel)
            dma.reset(channel)
        self._generation = self.board.generation

    def reset(self) -> None:
        """Stop every DMA, so that none of them touches a buffer any more."""
        self._generation = -1
        for name, dma in self.dmas.items():
            receives = any(stream.dma == name for stream in self.description.outputs)
            dma.reset(dma.receive if receives else dma.send)

    def run(self, buffers: Mapping[str, Buffer], samples: int, deadline: float, timeout: float) -> None:
        """One batch: the words of the inputs are in their buffers, those of the outputs arrive there.

        `deadline` is on the board's clock; `timeout` is what the user allowed, for messages.

        Raises
        ------
        DeadlineError
            With what is in, what is out, and the likely cause.
        DmaError
            An error bit, or a packet of another length.
        NoDataError
            Done, and the end of an output of 4 bytes or more was never written.
        ForeignBitstreamError
            Somebody else configured the logic in the meantime.
        """
        try:
            self.begin(buffers, samples)
            self.complete(deadline, timeout)
        except QnnError as error:
            if self.board.loaded is None:
                raise ForeignBitstreamError(f"{self.description.name}: the logic was configured again during a run: "
                                            f"{error}") from error
            raise

    def begin(self, buffers: Mapping[str, Buffer], samples: int) -> None:
        """The first half of `run`: everything is on its way."""
        description = self.description
        self.prepare()
        receivers: list[Any] = []
        senders: list[Any] = []
        for group, active in ((description.outputs, receivers), (description.inputs, senders)):
            for stream in group:
                if stream.dma is not None:
                    dma = self.dmas[stream.dma]
                    channel = dma.send if active is senders else dma.receive
                    packets = batch_packets(stream, dma.dma, samples)
                    channel.check_packets(buffers[stream.name], packets)
                    active.append((channel, stream, packets))
        for stream in description.inputs:
            buffers[stream.name].flush(samples * self._strides[stream.name])
        self._sentinels = self._put_sentinels(buffers, samples)
        for channel, stream, packets in receivers:  # first, or the circuit has nowhere to write
            channel.start(buffers[stream.name], packets)
        if description.control == "start":
            self._start_circuit(buffers, samples)
        for channel, stream, packets in senders:
            channel.start(buffers[stream.name], packets)
        self._flight = buffers, samples, receivers, senders

    def complete(self, deadline: float, timeout: float, cancelled: Cancelled = None) -> None:
        """The second half of `run`: the results are in their buffers."""
        description = self.description
        buffers, samples, receivers, senders = self._flight
        channels = [channel for channel, _, _ in receivers + senders]
        self._wait(channels, receivers, deadline, timeout, cancelled)
        if description.control == "start":
            self._wait_circuit(deadline, timeout, cancelled)
        for stream in description.outputs:
            buffers[stream.name].invalidate(samples * self._strides[stream.name])
        for name, (place, mark) in self._sentinels.items():
            if np.array_equal(buffers[name].array[place:place + mark.size], mark):
                raise NoDataError(f"{description.name}: done, but the end of {name} was never written")

    def _put_sentinels(self, buffers: Mapping[str, Buffer], samples: int) -> dict[str, tuple[int, np.ndarray]]:
        """Bytes that no result is at the end of each output: there afterwards, nothing was written."""
        self._sentinel = self._sentinel + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        word = np.frombuffer(self._sentinel.to_bytes(8, "little"), np.uint8)
        found = {}
        for stream in self.description.outputs:
            stride = self._strides[stream.name]
            last = stream.sample_bytes if stride > stream.sample_bytes else samples * stride
            end = (samples - 1) * stride + stream.sample_bytes
            size = min(8, last)
            if size >= _LEAST_SENTINEL:
                found[stream.name] = end - size, word[:size]
                buffers[stream.name].array[end - size:end] = word[:size]
                buffers[stream.name].flush(end)
        return found

    # -- waiting ------------------------------------------------------------------------------
    def _wait(self, channels: list[Any], receivers: list[Any], deadline: float, timeout: float,
              cancelled: Cancelled) -> None:
        """Until every channel is done. Each step is a wait of its own, so that pauses start small again."""
        if not channels:
            return
        first = (receivers[0][0] if receivers else channels[0]).dma.dma.name

        def moved(_: Any) -> bool:
            return bool(sum(map(_poll, channels)))  # each of them is looked at

        while not all(map(_through, channels)):
            try:
                left = max(0.0, deadline - self.board.clock.now())
                self.board.wait(first, moved, left, self.description.name, cancelled)
            except DeadlineError as error:
                raise DeadlineError(self._late(channels, receivers, timeout)) from error

    def _late(self, channels: list[Any], receivers: list[Any], timeout: float) -> str:
        waiting = [channel for channel in channels if not channel.done]
        text = "{}: not done within {:g} s; {}".format(
            self.description.name, timeout, "; ".join(channel.progress() for channel in waiting))
        ins = {id(channel) for channel, _, _ in receivers}
        if all(id(channel) in ins for channel in waiting):
            return text + ("; every input is in, so the circuit wants more of it, computes too long, or does not set "
                           "TLAST where the description says")
        return text + "; the circuit does not take its input: is it in reset, or waiting for another stream?"

    # -- circuits that are started --------------------------------------------------------------
    def _start_circuit(self, buffers: Mapping[str, Buffer], samples: int) -> None:
        registers = self.board.ip(self.description.ip)
        drop_done(registers)
        for name, offset in self.description.arguments.items():
            if name == "samples":
                registers.write(offset, samples)
            else:
                registers.write(offset, buffers[name].device_address & 0xFFFFFFFF)
                registers.write(offset + 4, buffers[name].device_address >> 32)
        registers.write(CTRL, START)

    def _wait_circuit(self, deadline: float, timeout: float, cancelled: Cancelled) -> None:
        left = max(0.0, deadline - self.board.clock.now())
        try:
            done = CTRL, DONE | NEVER
            check_control(self.board.wait(self.description.ip, done, left, self.description.name, cancelled))
        except DeadlineError as error:
            raise DeadlineError(f"{self.description.name}: not done within {timeout:g} s; the streams are through, "
                                "the circuit does not say so: "
                                "does it count `samples`?") from error

    def buffers(self) -> list[Buffer]:
        """What the DMAs hold."""
        return [buffer for dma in self.dmas.values() for buffer in dma.buffers()]

    def forget_buffers(self) -> None:
        """Drop them, closed or not."""
        for dma in self.dmas.values():
            dma.forget_buffers()

    def close(self) -> None:
        """Give back what the DMAs hold; idempotent."""
        try:
            close_all(self.buffers())
        finally:
            self.forget_buffers()
