"""Makes backups of the store and of this machine's files, and restores them."""
