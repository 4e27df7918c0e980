"""Who is calling: credentials, callers, and what is known of them."""
