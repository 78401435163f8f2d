"""The board with a Zynq-7000, through the pynq package."""
