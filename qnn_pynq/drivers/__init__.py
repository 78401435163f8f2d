"""Drivers: the knowledge of one overlay family each, on top of the board contract."""
