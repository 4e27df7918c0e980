"""Tokens: estimated and bounded before a call, read from the answer after it."""
