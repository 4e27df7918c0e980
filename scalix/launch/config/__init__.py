"""The config file: its shape, its problems, and what is made of it."""
