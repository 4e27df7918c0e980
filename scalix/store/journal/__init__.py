"""What could not be told to the store, on disk until it can be."""
