"""A user's own pages."""
