"""The multi-layer offload overlays of QNN-MO-PYNQ."""
