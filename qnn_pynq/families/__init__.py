"""Overlay families: a folder each, with driver, twin, registers and the check of its descriptors."""
