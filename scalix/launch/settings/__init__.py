"""Reads settings and secrets from the environment and from env files."""
