"""What was used, for its owners and for operators."""
