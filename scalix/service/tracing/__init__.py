"""What is recorded of a request's way, for traces."""
