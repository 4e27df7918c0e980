"""The operator's own function that chooses the model of a route."""
