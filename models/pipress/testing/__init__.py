"""What tests of several folders drive."""
