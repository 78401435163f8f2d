"""Twins: emulated IPs at register level, one module per overlay family."""
