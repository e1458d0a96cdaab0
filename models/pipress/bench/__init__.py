"""Benchmarks of the stages on models of true shape with random weights."""
