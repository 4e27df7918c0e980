"""What may not be shown: one redaction for clients' errors and for the log."""
