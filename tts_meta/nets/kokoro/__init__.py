"""Kokoro-82M (StyleTTS 2's text front, prosody predictor and acoustic blocks) as a network that can be adapted."""
