"""Facts of the Zynq-7000 and of its Linux, each with the document that it is from.

UG585 is AMD's Zynq 7000 SoC Technical Reference Manual; its appendix B lists the registers, B.28 those of the SLCR.
"""
from __future__ import annotations

__all__ = ["ADDRESSES", "CACHE_LINE", "DDR_PL", "FCLK_STEP", "FCLK_STOP", "FPGA_MANAGER", "FPGA_RESETS", "GP0",
           "LEVEL_SHIFTERS", "LEVEL_SHIFTERS_OPEN", "LOGIC_IN_RESET", "PAGE", "SLCR", "SLCR_BYTES"]

# UG585, 4.1 "Address Map": 32 bits of address; DDR begins below 0x4000_0000, where M_AXI_GP0 into the logic begins.
ADDRESSES = 1 << 32
GP0 = 0x4000_0000
DDR_PL = 0x1000_0000  # an address of DDR that the logic reaches on 512 MB boards, above what Linux loads itself to

# UG585, 3.2 "Cortex-A9 Processors" and 3.4 "L2-Cache": lines of 32 bytes in both; other chips with pynq have 64.
CACHE_LINE = 64
# ARM DDI 0406, B3.5 "Short-descriptor translation table format": small pages; Linux gives contiguous memory in them.
PAGE = 4096

# UG585, 4.3 "SLCR Registers" and B.28: what decides whether the logic answers.
SLCR, SLCR_BYTES = 0xF800_0000, 0x1000
FPGA_RESETS, LOGIC_IN_RESET = 0x240, 1  # FPGA_RST_CTRL: FPGA0_OUT_RST
LEVEL_SHIFTERS, LEVEL_SHIFTERS_OPEN = 0x900, 0xF  # LVL_SHFTR_EN: all ports, in both directions
# FPGA0_THR_CNT, FPGA1_THR_CNT, ...; bit 0 is where Linux stops a clock (drivers/clk/zynq/clkc.c).
FCLK_STOP, FCLK_STEP = 0x178, 0x10

# Linux, Documentation/ABI/testing/sysfs-class-fpga-manager, below the root of the file system.
FPGA_MANAGER = "sys/class/fpga_manager/fpga0"
