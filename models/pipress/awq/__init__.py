"""Activation-aware weight scaling (AWQ)."""
