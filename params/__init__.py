"""The trained networks, as package data."""
