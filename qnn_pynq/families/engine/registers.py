"""Registers of the engine and their bits, as the driver sees them."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ABORTED", "BUSY", "CAPS", "DONE", "ERROR", "ERRORS", "MAGIC", "NEVER", "PROGRAM", "REGION", "VERSION",
           "Command", "Reg"]

MAGIC = 0x514E4E45
VERSION = 0x00010000


class Reg(IntEnum):
    """Byte offsets."""

    MAGIC = 0x000
    VERSION = 0x004
    BUILD = 0x008
    CAPS0 = 0x00C
    CAPS1 = 0x010
    CAPS2 = 0x014
    SCRATCH = 0x018
    CONTROL = 0x01C
    STATUS = 0x020
    IRQ_ENABLE = 0x024
    IRQ_STATUS = 0x028
    GROUPS = 0x02C
    PICTURES = 0x030
    WATCHDOG = 0x034
    CYCLES = 0x038
    BUSY = 0x03C
    WAIT_LOAD = 0x040
    WAIT_STORE = 0x044
    WAIT_DRAIN = 0x048


class Command(IntEnum):
    """Bits of CONTROL."""

    START = 1
    ABORT = 2
    RESET = 4


BUSY, DONE, ERROR, ABORTED = 1, 2, 4, 8  # of STATUS; the code is in bits 15:8, the word of the program in 31:16
NEVER = 0x000000F0  # bits of STATUS that the circuit does not have; a bus without a slave often reads as all ones
ERRORS = {1: "bad program", 2: "access out of range", 3: "read error of the memory", 4: "write error of the memory",
          5: "watchdog"}

REGION = 0x050  # base, size and stride of a region, 16 bytes each
PROGRAM = 0x4000  # words of the program, the low half first

# Fields of the capability registers: key of the geometry, first bit, bits.
CAPS = {
    Reg.CAPS0: (("pe", 0, 8), ("vectors", 8, 8), ("lanes", 16, 8), ("accumulator_bits", 24, 8)),
    Reg.CAPS1: (("weight_words", 0, 16), ("bank_words", 16, 16)),
    Reg.CAPS2: (("threshold_words", 0, 16), ("program_words", 16, 16)),
}
