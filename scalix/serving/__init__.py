"""A worker: the server around the app."""
