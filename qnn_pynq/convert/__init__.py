"""Networks of other formats into ours, and back."""
