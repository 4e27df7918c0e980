"""Counts what the gateway does, for `GET /metrics`."""
