"""Decides for each of LiteLLM's own settings what becomes of it here."""
