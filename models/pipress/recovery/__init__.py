"""Training that makes up for what pruning took."""
