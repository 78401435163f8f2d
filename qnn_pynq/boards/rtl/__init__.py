"""The board with the circuit's own Verilog in it, simulated cycle by cycle."""
