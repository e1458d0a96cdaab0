"""Runs the stages of a recipe: fetch, prune, recover, convert, imatrix, quantize, evaluate."""
