"""Test sets: the public ones, pictures in folders, arrays in files."""
