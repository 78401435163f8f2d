"""What checks the engine from outside: an oracle, random programs, a player of them. Imports nothing of the package."""
