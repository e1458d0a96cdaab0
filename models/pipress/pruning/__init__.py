"""Pruning methods, one file each: scores, then a plan, then the cut."""
