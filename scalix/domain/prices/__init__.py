"""Prices of models, and what a request costs."""
