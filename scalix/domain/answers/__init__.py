"""Answers and events as the APIs that clients speak describe them, whatever engine and provider they come from."""
