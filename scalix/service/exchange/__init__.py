"""One request from admission to settlement, and what it meets on the way."""
