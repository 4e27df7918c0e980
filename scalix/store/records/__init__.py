"""Records of users, keys, acts and names."""
