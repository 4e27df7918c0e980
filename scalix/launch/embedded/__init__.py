"""The Valkey that comes along."""
