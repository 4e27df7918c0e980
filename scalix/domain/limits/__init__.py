"""Limits, windows, and the words of admission and settlement."""
