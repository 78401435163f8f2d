"""Training of LFC networks: binarised fully connected layers."""
