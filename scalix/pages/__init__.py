"""What browsers see: pages for the owner, the operator and the user."""
