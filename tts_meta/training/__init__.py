"""The three phases of the small starter, and the validation domains."""
