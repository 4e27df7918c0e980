"""Backups: the file, where it is kept, and how it is read from a store and written into one."""
