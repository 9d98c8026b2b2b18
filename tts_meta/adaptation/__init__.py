"""A clone: what moves under which prior, the steps, when they end, and the voice that comes of it."""
