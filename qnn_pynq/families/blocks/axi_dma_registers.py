"""The AXI DMA as AMD's PG021 describes it: how one is built, its registers, its error bits as errors with names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from functools import cached_property

from ...contracts.chip import GP0
from ...errors import (
    DmaDecodeError,
    DmaDescriptorDecodeError,
    DmaDescriptorError,
    DmaDescriptorSlaveError,
    DmaInternalError,
    DmaSlaveError,
)

__all__ = ["DMA_ADDRESS", "WINDOW", "Control", "Descriptor", "Dma", "Register", "Status", "check_status", "status_text"]

# Where Vivado puts the first one, and the window that it gives to each.
DMA_ADDRESS, WINDOW = GP0 + 0x400000, 0x10000


@dataclass(frozen=True)
class Dma:
    """An AXI DMA (PG021).

    Attributes
    ----------
    length_bits : int
        Its c_sg_length_width: a transfer, or a descriptor, is of at most 2**length_bits - 1 bytes.
    scatter_gather : bool
        Its c_include_sg.
    data_bits : int
        Width of its memory ports.
    unaligned : bool
        Whether it has the realignment engines (c_include_mm2s_dre, c_include_s2mm_dre).
    interrupt : bool
        Whether its s2mm_introut is wired to an interrupt controller that pynq knows.
    """

    name: str
    address: int = DMA_ADDRESS
    range: int = WINDOW
    length_bits: int = 26
    scatter_gather: bool = False
    data_bits: int = 32
    unaligned: bool = False
    interrupt: bool = False

    @cached_property
    def longest(self) -> int:
        """Bytes of the longest transfer, and of the longest descriptor."""
        return (1 << self.length_bits) - 1


class Register(IntEnum):
    """Offsets from the first register of a channel, 0x00 MM2S, 0x30 S2MM (PG021, "Register Space")."""

    CONTROL = 0x00
    STATUS = 0x04
    CURRENT = 0x08  # descriptor, scatter-gather only
    CURRENT_HIGH = 0x0C
    TAIL = 0x10
    TAIL_HIGH = 0x14
    ADDRESS = 0x18  # direct register mode only
    ADDRESS_HIGH = 0x1C
    LENGTH = 0x28


class Control(IntFlag):
    """DMACR."""

    RUN = 1
    RESET = 1 << 2
    COMPLETE_ENABLE = 1 << 12


class Status(IntFlag):
    """DMASR."""

    HALTED = 1
    IDLE = 1 << 1
    SCATTER_GATHER = 1 << 3
    INTERNAL = 1 << 4
    SLAVE = 1 << 5
    DECODE = 1 << 6
    SG_INTERNAL = 1 << 8
    SG_SLAVE = 1 << 9
    SG_DECODE = 1 << 10
    COMPLETE = 1 << 12
    DELAY = 1 << 13
    ERROR = 1 << 14


class Descriptor(IntEnum):
    """Words of a descriptor, 16 of 32 bits, and bits of two of them."""

    NEXT, NEXT_HIGH, ADDRESS, ADDRESS_HIGH = 0, 1, 2, 3
    CONTROL, STATUS = 6, 7
    END, START, COMPLETE = 1 << 26, 1 << 27, 1 << 31
    LENGTH = (1 << 26) - 1


_ERRORS = {
    Status.INTERNAL: (DmaInternalError, "internal error: a length of 0, or the circuit sent more bytes than were "
                      "asked for before TLAST; compare the shapes and TLAST of the circuit with the description"),
    Status.SLAVE: (DmaSlaveError, "slave error: the memory refused an access; check the address and the HP port"),
    Status.DECODE: (DmaDecodeError, "decode error: an address that no memory answers for; check that the DMA's memory "
                    "ports are mapped to the whole DDR (assign_bd_address)"),
    Status.SG_INTERNAL: (DmaDescriptorError, "scatter-gather internal error: a descriptor that is complete already"),
    Status.SG_SLAVE: (DmaDescriptorSlaveError, "scatter-gather slave error: the memory refused a descriptor's access"),
    Status.SG_DECODE: (DmaDescriptorDecodeError, "scatter-gather decode error: a descriptor's address that no memory "
                       "answers for; check that M_AXI_SG is mapped to the whole DDR"),
}
_ANY = sum(int(bit) for bit in _ERRORS)


def status_text(status: int) -> str:
    """A status register in words: value and names of its bits."""
    names = [bit.name or "" for bit in Status if status & bit]
    return "{:#010x} ({})".format(status, ", ".join(names).lower().replace("_", " ") or "running")


def check_status(status: int, what: str) -> None:
    """Raise the error that a status register shows.

    Raises
    ------
    DmaError
        The subclass of the first error bit, by PG021.
    """
    if not status & _ANY:
        return
    for bit, (error, text) in _ERRORS.items():
        if status & bit:
            raise error(f"{what}: {text}; status {status_text(status)}")
