"""Training of DoReFa networks: 1-bit weights, 2-bit activations."""
