"""`scalix doctor`: looks at all that a gateway needs, and says of each thing that is amiss what to do about it."""
