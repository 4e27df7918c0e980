"""Environment, env files and secrets."""
