"""The algorithms of the family, each a set of parts or one file."""
