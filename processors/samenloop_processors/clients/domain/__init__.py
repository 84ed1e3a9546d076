"""Identity resolution as pure functions: normalise, block, compare, cluster. No I/O, no clock, no framework."""
