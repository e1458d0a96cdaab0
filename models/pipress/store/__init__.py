"""Where artifacts live, by key."""
