"""What came of a recipe: figures from the artifacts' manifests, verdicts, and a page to look at them."""
