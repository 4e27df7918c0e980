"""Tokens: estimated before a call, bounded, and read after it."""
