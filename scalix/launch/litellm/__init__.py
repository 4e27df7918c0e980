"""LiteLLM's own settings: what each of them comes to here."""
