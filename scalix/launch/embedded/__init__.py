"""The embedded store: a Valkey server that comes with the gateway."""
