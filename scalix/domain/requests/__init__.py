"""What a client may send, and what streams are made of."""
