"""Use cases over the store's protocols: who calls, may they, what did it use."""
