"""Few-shot TTS speaker adaptation by modular meta-learning with shrinkage (Chen et al. 2020)."""

__version__ = "0.1.0"
