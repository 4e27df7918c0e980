"""The checks of a running gateway, through its public API only."""
