"""Models in Hugging Face format: loading, checking, saving."""
