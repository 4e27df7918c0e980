"""What operators do to users, keys, limits and balances."""
