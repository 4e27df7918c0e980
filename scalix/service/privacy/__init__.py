"""One person's data: export and erasure."""
