"""Fewer bits per weight: llama.cpp's types, exact sizes, and the search for the best mix of types for an objective."""
