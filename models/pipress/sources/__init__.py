"""Where base models and texts come from: a package index, Hugging Face, or this machine."""
