"""Registers of the multi-layer offload circuits, and what a load and a run write to them."""

from __future__ import annotations

from typing import Sequence

from .plan import Run

__all__ = ["Reg", "load_registers", "run_registers"]


class Reg:
    """Registers of BlackBoxJam, byte offsets: W1A2-pynqZ1-Z2.hwh of QNN-MO-PYNQ; strides are logarithms of base 2."""

    # Plain ints: looked up often.

    CTRL = 0x00
    IN1_LOW = 0x10
    IN1_HIGH = 0x14
    IN2_LOW = 0x1C
    IN2_HIGH = 0x20
    OUT_LOW = 0x28
    OUT_HIGH = 0x2C
    DO_INIT = 0x34
    LAYER_TYPE = 0x3C
    KERNEL = 0x44
    STRIDE = 0x4C
    INPUTS = 0x54
    OUTPUTS = 0x5C
    SIZE = 0x64
    PADDED_SIZE = 0x6C
    CONV_SIZE = 0x74
    POOL_IN_SIZE = 0x7C
    POOL_OUT_SIZE = 0x84
    POOL_STRIDE = 0x8C


_CONVOLUTION, _WITH_POOL = 1, 2


def load_registers(run: Run, image: int, conservative: bool) -> Sequence[tuple[int, int]]:
    """(register, value) of a load; `image` is the address of the weight image of a run."""
    other = image + 8 * run.weight_words
    return [
        (Reg.IN1_LOW, image & 0xFFFFFFFF), (Reg.IN1_HIGH, image >> 32),
        (Reg.IN2_LOW, other & 0xFFFFFFFF), (Reg.IN2_HIGH, other >> 32),
        (Reg.DO_INIT, 1), (Reg.KERNEL, run.load_kernel),
    ] + ([(Reg.LAYER_TYPE, _CONVOLUTION)] if conservative else [])


def run_registers(run: Run, source: int, target: int) -> Sequence[tuple[int, int]]:
    """(register, value) of a run on one picture, from and to addresses."""
    step = run.step
    return [
        (Reg.IN1_LOW, source & 0xFFFFFFFF), (Reg.IN1_HIGH, source >> 32),
        (Reg.OUT_LOW, target & 0xFFFFFFFF), (Reg.OUT_HIGH, target >> 32), (Reg.DO_INIT, 0),
        (Reg.LAYER_TYPE, _CONVOLUTION if step.pool is None else _WITH_POOL),
        (Reg.KERNEL, step.conv.kernel), (Reg.STRIDE, 0), (Reg.INPUTS, run.inputs), (Reg.OUTPUTS, run.outputs),
        (Reg.SIZE, step.size), (Reg.PADDED_SIZE, step.padded_size), (Reg.CONV_SIZE, step.conv_size),
        (Reg.POOL_IN_SIZE, step.pool_in_size), (Reg.POOL_OUT_SIZE, step.out_size),
        (Reg.POOL_STRIDE, 0 if step.pool is None else step.pool.stride.bit_length() - 1),
    ]
