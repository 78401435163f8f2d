"""The one door to the C kernels: bit strings, encoders, dense layers, register programs.

numpy views in, numpy views or DMA buffers out, no copies. An array of the wrong dtype, shape, stride or
alignment is refused with `KernelError` before any C code sees it. Every call releases the GIL.
"""

from __future__ import annotations

from ._isa import isa_active, isa_built, isa_supported, set_isa
from .bits import Encoder, highest_bit, highest_class, pack, unpack
from .dense import DenseStack
from .program import PLAY_DONE, PLAY_TIMEOUT, play

__all__ = [
    "PLAY_DONE",
    "PLAY_TIMEOUT",
    "DenseStack",
    "Encoder",
    "highest_bit",
    "highest_class",
    "isa_active",
    "isa_built",
    "isa_supported",
    "pack",
    "play",
    "set_isa",
    "unpack",
]
