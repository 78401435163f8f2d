"""What is wrong with a machine, a board or a network: doctor, self-test, recordings."""
