"""Reads a bitstream of an xc7z020 back: frames, features, wires, and a netlist as Verilog."""
