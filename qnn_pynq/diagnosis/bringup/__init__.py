"""The first hour of an engine on a board: steps that each prove something, and one file with what was found."""
