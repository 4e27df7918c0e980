"""How many pages, seconds and pixels a provider could find in a file that came with a prompt: bounds from its bytes."""
