"""Callers and their credentials."""
