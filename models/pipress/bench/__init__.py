"""Benchmarks: stages on models of true shape with random weights, and this package against its peers."""
