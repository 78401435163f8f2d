"""The one door to the C kernels: bit strings, encoders, layers, register programs.

numpy views in, numpy views or DMA buffers out, no copies. An array of the wrong dtype, shape, stride or
alignment is refused with `KernelError` before any C code sees it. Every call releases the GIL.
"""

from __future__ import annotations

from ._isa import isa_active, isa_built, isa_supported, set_isa
from .bits import move_bits, pack, unpack
from .conv import ConvLayer, ConvStack
from .dense import DenseStack, Encoder, highest_class
from .linear import LinearLayer
from .program import PROGRAM_DONE, PROGRAM_TIMEOUT, run_program

__all__ = [
    "PROGRAM_DONE",
    "PROGRAM_TIMEOUT",
    "ConvLayer",
    "ConvStack",
    "DenseStack",
    "Encoder",
    "LinearLayer",
    "highest_class",
    "isa_active",
    "isa_built",
    "isa_supported",
    "move_bits",
    "pack",
    "run_program",
    "set_isa",
    "unpack",
]
