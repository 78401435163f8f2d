"""What the parts of the package promise one another: board, driver, twin, family."""
