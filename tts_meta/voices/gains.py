"""What a voice gets back of the variance that a likelihood's middle leaves out (`tts_meta.voices.variance`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gains:
    """Factors of the spread of the cepstral coefficients `[K]` and of a sentence's log F0."""

    cepstra: np.ndarray
    pitch: float
