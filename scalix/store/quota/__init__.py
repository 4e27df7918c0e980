"""Reservations, charges and balances."""
