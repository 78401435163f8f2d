"""The fully connected overlays of BNN-PYNQ (LFC)."""
