"""The audit log: what operators did, and who was refused."""
