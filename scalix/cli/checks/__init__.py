"""What the diagnostics look at, through the gateway's public API only."""
