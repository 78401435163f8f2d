"""When the hardware does wrong: policies, recovery, known inputs, calibration."""
