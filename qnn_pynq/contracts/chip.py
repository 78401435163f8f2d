"""Facts of the Zynq-7000 and of its Linux, each with the document that it is from.

UG585 is AMD's Zynq 7000 SoC Technical Reference Manual.
"""
from __future__ import annotations

__all__ = ["ADDRESSES", "CACHE_LINE", "DDR_PL", "FCLK_STEP", "FCLK_STOP", "FPGA_MANAGER", "FPGA_RESETS", "GP0",
           "IO_PLL_MHZ", "LEVEL_SHIFTERS", "LEVEL_SHIFTERS_OPEN", "LOGIC_IN_RESET", "MOST_DIVISOR", "PAGE", "SLCR",
           "SLCR_BYTES"]

# UG585, chapter 4 "System Addresses": 32 bits of address; DDR ends where M_AXI_GP0 into the logic begins.
ADDRESSES = 1 << 32
GP0 = 0x4000_0000
DDR_PL = 0x1000_0000  # in DDR: where the memory of an emulated board begins

# UG585, chapter 3 "Application Processing Unit": lines of 32 bytes in both levels; other chips with pynq have 64.
CACHE_LINE = 64
# ARM DDI 0406, part B, "Virtual Memory System Architecture": small pages; Linux gives contiguous memory in them.
PAGE = 4096

# UG585, B.28 "System Level Control Registers (slcr)": what decides whether the logic answers.
SLCR, SLCR_BYTES = 0xF800_0000, 0x1000
FPGA_RESETS, LOGIC_IN_RESET = 0x240, 1  # FPGA_RST_CTRL: FPGA0_OUT_RST
LEVEL_SHIFTERS, LEVEL_SHIFTERS_OPEN = 0x900, 0xF  # LVL_SHFTR_EN: all ports, in both directions
# FPGA0_THR_CNT, FPGA1_THR_CNT, ...; bit 0 is where Linux stops a clock (drivers/clk/zynq/clkc.c).
FCLK_STOP, FCLK_STEP = 0x178, 0x10

# UG585, chapter 25 "Clocks": an FCLK is a PLL by two divisors of 6 bits. PYNQ-Z1 and Z2 boot with the IO PLL at 20
# times their crystal of 50 MHz.
IO_PLL_MHZ, MOST_DIVISOR = 1000.0, 63

# Linux, Documentation/ABI/testing/sysfs-class-fpga-manager, below the root of the file system.
FPGA_MANAGER = "sys/class/fpga_manager/fpga0"
