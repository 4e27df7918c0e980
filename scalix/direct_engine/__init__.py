"""Passes requests straight through to providers that speak OpenAI's format."""
