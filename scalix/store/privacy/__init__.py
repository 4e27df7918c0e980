"""Erasing and removing what is old."""
