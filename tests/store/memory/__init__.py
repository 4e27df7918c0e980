"""The same contracts in one process."""
