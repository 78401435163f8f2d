"""Networks as data: layer types, descriptors, and how layers follow one another."""
