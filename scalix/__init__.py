"""Scalix gateway: a freemium front door for the stock LiteLLM proxy."""

__version__ = "0.1.0"
