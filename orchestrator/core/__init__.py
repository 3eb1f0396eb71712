"""Values and pure decisions: no AWS, no clock, no I/O, no randomness."""
