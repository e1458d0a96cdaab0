"""Measurements of this package against its peers."""
