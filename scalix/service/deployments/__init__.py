"""Which deployment of a model is asked."""
