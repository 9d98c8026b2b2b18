"""A text as it is said, and its phonemes."""
