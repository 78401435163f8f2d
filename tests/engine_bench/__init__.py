"""What checks the engine from outside: an oracle, random programs, and a player of them. Imports nothing of the package."""
