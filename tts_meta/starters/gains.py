"""What a voice gets back of the variance that a likelihood's middle leaves out (`tts_meta.starters.variance`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a list of voices is shown without it
    import numpy as np

GAINS = 40
"""Cepstral coefficients whose variance is restored (tts_meta/starters/variance.py)."""
LOWEST, HIGHEST = 0.5, 4.0

@dataclass(frozen=True)
class Gains:
    """Factors of the spread of the cepstral coefficients `[K]` and of a sentence's log F0."""

    cepstra: np.ndarray
    pitch: float
