"""The notebooks, as package data (`pynq get-notebooks qnn-pynq`)."""
