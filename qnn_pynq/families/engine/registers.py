"""Registers of the engine and their bits, as the driver sees them."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["BUSY", "DONE", "ERROR", "ABORTED", "ERRORS", "IDENTITY", "MAGIC", "NEVER", "PROGRAM", "REGION", "Command",
           "Reg", "VERSION"]

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
NEVER = 0x000000F0  # bits of STATUS that the circuit does not have
ERRORS = {1: "bad program", 2: "access out of range", 3: "read error of the memory", 4: "write error of the memory",
          5: "watchdog"}

REGION = 0x050  # base, size and stride of a region, 16 bytes each
PROGRAM = 0x4000  # words of the program, the low half first


def _identity(geometry: dict) -> dict:
    """What the registers of capabilities show of a circuit with this geometry."""
    return {
        Reg.CAPS0: geometry["pe"] | geometry["vectors"] << 8 | geometry["lanes"] << 16
        | geometry["accumulator_bits"] << 24,
        Reg.CAPS1: geometry["weight_words"] | geometry["bank_words"] << 16,
        Reg.CAPS2: geometry["threshold_words"] | geometry["program_words"] << 16,
    }


IDENTITY = _identity
