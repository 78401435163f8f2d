"""Descriptors of the overlays, as package data (`pynq.Overlay` looks here too)."""
