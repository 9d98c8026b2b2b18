"""Kokoro-82M as the network of the product: its weights, symbols, voices, and how clips are fitted to it."""
