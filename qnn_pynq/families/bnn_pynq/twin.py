"""Twin of the BNN-PYNQ fully connected overlays (BlackBoxJam, LFC W1A1 and W1A2).

The register map and every rule are those of upstream's HLS block: 7 address bits, done that clears
on read, doInit as a level, weight memories that nothing reads back, 16-bit thresholds compared
strictly. Time is a model, stated in the overlay descriptor.
"""
from __future__ import annotations

import math
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from ...contracts.clock import Clock
from ...contracts.program import WAIT
from ...contracts.twin import Memory
from ...errors import BusError
from ...faults import Fault
from ...kernels import DenseStack
from ..blocks.hls_control_twin import ControlTwin
from .packing import unfold_thresholds, unfold_weights

__all__ = ["BnnPynqTwin"]


class Reg(IntEnum):
    """Register offsets of upstream's .hwh. Not shared with the driver: one wrong table would agree with itself."""

    CTRL = 0x00
    GIER = 0x04
    IP_IER = 0x08
    IP_ISR = 0x0C
    IN_LOW = 0x10
    IN_HIGH = 0x14
    OUT_LOW = 0x1C
    OUT_HIGH = 0x20
    DO_INIT = 0x28
    TARGET_LAYER = 0x30
    TARGET_MEM = 0x38
    TARGET_IND = 0x40
    TARGET_THRESH = 0x48
    VAL_LOW = 0x50
    VAL_HIGH = 0x54
    NUM_REPS = 0x5C


_ARGUMENTS = tuple(int(reg) for reg in Reg if reg >= Reg.IN_LOW)
_TARGET = (Reg.TARGET_LAYER, Reg.TARGET_MEM, Reg.TARGET_IND, Reg.TARGET_THRESH, Reg.VAL_LOW, Reg.VAL_HIGH)


class _Layer(NamedTuple):
    """What DenseStack wants to know of a layer."""

    inputs: int
    outputs: int
    weights: np.ndarray
    thresholds: np.ndarray
    weight_bits: int
    input: str
    accumulator: str
    output: str


class BnnPynqTwin(ControlTwin):
    """Emulated BlackBoxJam.

    Decisions where upstream is silent: numReps 0 completes at once and moves no data; a start while
    busy is lost; layer, PE, word or threshold indices that do not exist write nothing; addresses
    that are misaligned or outside live buffers raise BusError at the start, before anything runs.

    Hook points of `inject`: "duration" (seconds of a run; inf hangs), "value" (a memory write:
    layer, PE, index, threshold, value), "words" (uint8 results), "done" (bool).
    """

    def __init__(self, overlay: Any, memory: Memory, clock: Clock) -> None:
        super().__init__(overlay, memory, clock, _ARGUMENTS, Reg.DO_INIT, 0x80)
        self.layers = overlay.geometry["layers"]
        self.bytes_in = overlay.geometry["input_bits"] // 8
        self.bytes_out = overlay.geometry["output_bits"] // 8
        self._memory_write_time = overlay.timing["memory_write_cycles"] * self._cycle
        # The weight memories, PE by PE as in the circuit; they survive a reset.
        self.weights = [np.zeros((g["pe"], g["outputs"] // g["pe"] * (g["inputs"] // g["simd"])), np.uint64)
                        for g in self.layers]
        self.thresholds = [np.zeros((g["pe"], g["outputs"] // g["pe"] * g["thresholds"]), np.int16)
                           for g in self.layers]
        self._stack: DenseStack | None = None

    def _operate(self) -> float:
        if not self.registers[Reg.DO_INIT]:
            return self._compute()
        self._write_memory()
        return float(self._memory_write_time)

    def _write_memory(self) -> None:
        fields = tuple(self.registers[reg] for reg in _TARGET)
        layer, mem, ind, thresh, value = self._hook("value", (*fields[:4], fields[4] | fields[5] << 32))
        number, thresholds = divmod(layer, 2)
        if number >= len(self.layers) or mem >= self.layers[number]["pe"]:
            return
        memory = (self.thresholds if thresholds else self.weights)[number]
        if thresholds:
            count = self.layers[number]["thresholds"]
            place = ind * count + thresh
            if thresh < count and place < memory.shape[1]:
                memory[mem, place] = (value + 0x8000 & 0xFFFF) - 0x8000
        elif ind < memory.shape[1]:
            memory[mem, ind] = value & (1 << self.layers[number]["simd"]) - 1
        self._stack = None

    def _store(self, target: np.ndarray, mem: np.ndarray, ind: np.ndarray, thresh: np.ndarray,
               value: np.ndarray) -> None:
        """The same for many in order, uint64 (n,) each: the last wins, what does not exist is ignored."""
        self._stack = None
        for number, geometry in enumerate(self.layers):
            weights, thresholds = self.weights[number], self.thresholds[number]
            pe, word = mem < geometry["pe"], ind < weights.shape[1]
            hit = (target == 2 * number) & pe & word
            mask = np.uint64((1 << geometry["simd"]) - 1)
            weights[mem[hit].astype(np.intp), ind[hit].astype(np.intp)] = value[hit] & mask
            count = geometry["thresholds"]
            hit = (target == 2 * number + 1) & pe & (ind < thresholds.shape[1] // count) & (thresh < count)
            place = (ind[hit] * np.uint64(count) + thresh[hit]).astype(np.intp)
            thresholds[mem[hit].astype(np.intp), place] = value[hit].astype(np.uint16).view(np.int16)

    def _compute(self) -> float:
        pictures = self.registers[Reg.NUM_REPS]
        if not pictures:
            return 0.0
        source, target = self._address(Reg.IN_LOW), self._address(Reg.OUT_LOW)
        bits = self.memory.read(source, pictures * self.bytes_in)
        self.memory.read(target, pictures * self.bytes_out)  # both must exist before anything runs
        stack = self._stack if self._stack is not None else self._dense()
        words = stack.run(bits.reshape(pictures, self.bytes_in))
        words = words.reshape(-1)
        self._result = target, self._hook("words", words) if self._faults else words
        timing = self.overlay.timing
        return float((timing["first_image_cycles"] + (pictures - 1) * timing["cycles_per_image"]) * self._cycle)

    def _dense(self) -> DenseStack:
        if self._stack is None:
            self._stack = DenseStack([
                _Layer(g["inputs"], g["outputs"], unfold_weights(words, g["inputs"], g["pe"], g["simd"]),
                       unfold_thresholds(values, g["thresholds"]).astype(np.int32), 1,
                       g["input"], g["accumulator"], g["output"])
                for g, words, values in zip(self.layers, self.weights, self.thresholds)])
        return self._stack

    # -- faults -------------------------------------------------------------------------------
    def _injected(self) -> Fault | None:
        # Single memory writes are too many to ask for each: a program of them is one opportunity.
        return None if self.registers[Reg.DO_INIT] else super()._injected()

    def _flip_weight(self, fault: Fault) -> None:
        """One of all weight bits, those of unused words included."""
        place = fault.place % sum(words.size * g["simd"] for words, g in zip(self.weights, self.layers))
        for words, geometry in zip(self.weights, self.layers):
            if place < words.size * geometry["simd"]:
                word, bit = divmod(place, geometry["simd"])
                words.reshape(-1)[word] ^= np.uint64(1 << bit)
                break
            place -= words.size * geometry["simd"]
        self._stack = None

    # -- whole programs -----------------------------------------------------------------------
    def run_program(self, program: np.ndarray, timeout: float) -> bool:
        """A run of memory writes, each waited for, or the start of a run, at once; anything else access by access."""
        if not program["op"].any():
            return super().run_program(program, timeout)  # nothing is waited for: no memory writes
        self.settle()
        fault = None if self.faults is None else self.faults.draw()
        if fault is None:
            return self._run_at_once(program, timeout)
        return self._run_with_fault(fault, program, timeout)

    def _run_with_fault(self, fault: Fault, program: np.ndarray, timeout: float) -> bool:
        """The same with a fault at one of the memory writes."""
        starts = np.flatnonzero((program["offset"] & 0x7C == 0) & (program["op"] != WAIT))
        step = int(starts[fault.place % starts.size]) if starts.size else 0
        unseen = fault.kind == "lost done" and not (program["value"][program["op"] == WAIT] & 4).all()
        if fault.kind == "hang" or unseen:
            self._run_at_once(program[:step], timeout)
            self._busy_until = math.inf
            return False  # the first wait finds out
        if fault.kind in ("bus error", "reprogrammed", "signal"):
            self._run_at_once(program[:step], timeout)
            if fault.kind == "signal":
                assert self.faults is not None
                self.faults.interrupt()
            if fault.kind == "bus error":
                raise BusError(f"step {step}: the logic met a decode error (injected)")
            self._vanish()
            return False
        if fault.kind == "done without data":
            program = np.delete(program, (step, step + 1))
        done = self._run_at_once(program, timeout)
        if fault.kind in ("corrupt word", "flip weight"):
            self._flip_weight(fault)
        elif fault.kind == "slow":
            self.clock.sleep(fault.extra_seconds)
        return done

    def _run_at_once(self, program: np.ndarray, timeout: float) -> bool:
        control = self.control
        if self._gone or self._faults or self._busy_until is not None:
            return False
        if control.done or control.auto_restart or control.enabled:
            return False
        reg = ((program["offset"] & 0x7C) >> 2).astype(np.uint8)
        value = np.ascontiguousarray(program["value"])
        wait = program["op"] == WAIT
        waits = np.flatnonzero(wait)
        starts = np.flatnonzero((reg == 0) & ~wait)
        polled = value[waits]
        if (not np.array_equal(starts + 1, waits) or reg[waits].any() or (value[starts] & 0x81 != 1).any()
                or (polled & 0x81).any() or not (polled & 0x06).all()
                or ((reg > 0) & (reg < Reg.IN_LOW >> 2)).any()):
            return False
        at_start = {}
        for name in (Reg.DO_INIT,) + _TARGET:
            at_start[name] = self._forward(name, reg, wait, value, starts)
        if not (at_start[Reg.DO_INIT] & 1).all():
            return False
        each, done = self._memory_write_time, self._read_time
        if each > done:  # the first poll comes too early; the clock jumps to the end, and polls again
            done = each + self._read_time
        seconds = (len(program) - len(waits)) * self._write_time + len(waits) * done
        if seconds >= timeout:
            return False
        for offset in _ARGUMENTS:
            last = np.flatnonzero((reg == offset >> 2) & ~wait)
            if last.size:
                word = int(value[last[-1]])
                self.registers[offset] = word & 1 if offset == Reg.DO_INIT else word
        layer, mem, ind, thresh, low, high = (at_start[name] for name in _TARGET)
        if starts.size:
            self._store(layer, mem, ind, thresh, low | high << np.uint64(32))
        self.clock.sleep(seconds)
        self.modelled_seconds += seconds
        return True

    def _forward(self, name: int, reg: np.ndarray, wait: np.ndarray, value: np.ndarray,
                 starts: np.ndarray) -> np.ndarray:
        """uint64: what register `name` holds at each start."""
        writes: np.ndarray = np.flatnonzero((reg == name >> 2) & ~wait)
        values = np.empty(writes.size + 1, np.uint64)
        values[0] = self.registers[name]
        values[1:] = value[writes]
        held: np.ndarray = values[np.searchsorted(writes, starts)]
        return held
