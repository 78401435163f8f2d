"""Blocks that circuits of several families are made of: HLS control, AXI DMA, AXI streams."""
