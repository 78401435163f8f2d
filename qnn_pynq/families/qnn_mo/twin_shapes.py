"""Registers of the emulated multi-layer offload circuits, and the settings that they can compute."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

__all__ = ["Hang", "Reg", "check_shape", "pools"]


class Reg(IntEnum):
    """Register offsets of upstream's .hwh. Not shared with the driver: one wrong table would agree with itself."""

    CTRL = 0x00
    GIER = 0x04
    IP_IER = 0x08
    IP_ISR = 0x0C
    IN1 = 0x10
    IN1_HIGH = 0x14
    IN2 = 0x1C
    IN2_HIGH = 0x20
    OUT = 0x28
    OUT_HIGH = 0x2C
    DO_INIT = 0x34
    LAYER_TYPE = 0x3C
    KERNEL_DIM = 0x44
    STRIDE = 0x4C
    IFM_CH = 0x54
    OFM_CH = 0x5C
    IFM_DIM = 0x64
    PADDED_DIM = 0x6C
    OFM_DIM = 0x74
    POOL_IN_DIM = 0x7C
    POOL_OUT_DIM = 0x84
    POOL_STRIDE = 0x8C


class Hang(Exception):
    """Registers that leave the dataflow waiting for ever; the text says which."""


def pools(r: dict[int, int]) -> bool:
    """Whether a run with these registers pools."""
    return r[Reg.LAYER_TYPE] != 1


def check_shape(r: dict[int, int], g: Any) -> None:
    """Raise Hang where the line buffers do not give a convolution and a pool of these sizes.

    Parameters
    ----------
    r : dict
        Registers by offset.
    g : dict
        Geometry of the overlay.
    """
    kernel, inputs, outputs = r[Reg.KERNEL_DIM], r[Reg.IFM_CH], r[Reg.OFM_CH]
    size, padded, out = r[Reg.IFM_DIM], r[Reg.PADDED_DIM], r[Reg.OFM_DIM]
    for what, value, most in (
        ("KernelDim", kernel, g["max_kernel"]), ("IFMCh", inputs, g["max_inputs"]),
        ("OFMCh", outputs, g["max_outputs"]), ("IFMDim", size, g["max_input_size"]),
        ("OFMDim", out, g["max_output_size"]),
    ):
        if not 1 <= value <= most:
            raise Hang(f"{what} {value}, the circuit has 1 to {most}")
    step = 1 << min(r[Reg.STRIDE], 8)
    even = (kernel, step) in ((2, 2), (4, 2), (4, 4)) and padded % step == 0
    if not (step == 1 or even) or (kernel == padded == 1):
        raise Hang(f"KernelDim {kernel} with stride {step} on {padded} lines")
    if padded < max(size, kernel) or out != (padded - kernel) // step + 1:
        raise Hang(f"IFMDim {size}, PaddedDim {padded}, OFMDim {out} with KernelDim {kernel}, stride {step}")
    lines = padded * -(-inputs // g["simd"]) * step
    if lines > g["max_input_size"] * g["max_inputs"] // g["simd"]:
        raise Hang(f"PaddedDim {padded} of {inputs} channels: {lines} words, the line buffer is smaller")
    if pools(r):
        window, area, stride = g["pool_size"], r[Reg.POOL_IN_DIM], 1 << min(r[Reg.POOL_STRIDE], 8)
        if not max(window, out) <= area <= g["max_output_size"] or stride > g["max_pool_stride"]:
            raise Hang(f"PoolInDim {area}, stride {stride} behind OFMDim {out}")
        if r[Reg.POOL_OUT_DIM] != (area - window) // stride + 1:
            raise Hang(f"PoolOutDim {r[Reg.POOL_OUT_DIM]} of PoolInDim {area}, stride {stride}")
