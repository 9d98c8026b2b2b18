"""Sound: decoding, mels, F0, loudness, the vocoder, files."""
