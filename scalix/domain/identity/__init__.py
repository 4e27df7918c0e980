"""Who may be charged, and how they prove who they are."""
