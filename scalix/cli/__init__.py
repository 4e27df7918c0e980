"""The commands of operators: starting a gateway, using a running one, and checking it."""
