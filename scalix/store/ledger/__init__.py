"""Events and sums: reading, comparing, archiving."""
