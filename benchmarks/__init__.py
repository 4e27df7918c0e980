"""Measures what the gateway costs, side by side with other gateways: `make bench`, or `python -m benchmarks --help`."""
