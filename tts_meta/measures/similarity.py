"""Speaker similarity: cosine between Resemblyzer embeddings (GE2E, Wan et al. 2018), with its floor and ceilings.

A verification encoder hears timbre and pitch range, not rhythm, and numbers of two encoders cannot be compared; so the
encoder is named and the bounds are measured in the same run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files

import numpy as np
from safetensors.numpy import load

from tts_meta.audio.files import resample
from tts_meta.measures import ge2e

ENCODER = {"name": "Resemblyzer", "version": version("Resemblyzer")}


def embed(samples: np.ndarray, rate: int) -> np.ndarray:
    """Unit embedding `[256]` of `[N]` samples."""
    wave = resample(samples, rate, ge2e.RATE)
    speech = ge2e.without_silence(wave)
    # Trimming of silence can leave nothing of very noisy audio.
    return ge2e.embed_wave(speech if len(speech) >= 1600 else wave)


def centroid(embeddings: list[np.ndarray]) -> np.ndarray:
    """Unit mean `[256]`."""
    mean = np.mean(embeddings, axis=0)
    return mean / np.linalg.norm(mean)


@lru_cache(maxsize=1)
def other_speakers() -> np.ndarray:
    """Embeddings `[S, 256]` of one real clip of each of S fixed training speakers, for the floor."""
    return load((files("tts_meta") / "assets" / "other_speakers.safetensors").read_bytes())["embeddings"]


@dataclass(frozen=True)
class Similarity:
    """Mean cosines to the speaker's centroid and where the clone lies between floor (0) and vocoded ceiling (1)."""

    floor: float
    clone: float
    ceiling_vocoded: float
    ceiling_real: float

    @property
    def position(self) -> float:
        return (self.clone - self.floor) / (self.ceiling_vocoded - self.floor)

    def to_dict(self) -> dict[str, float]:
        values = {**self.__dict__, "position": self.position}
        return {k: round(float(v), 4) for k, v in values.items()}


def similarity(
    centre: list[np.ndarray], clone: list[np.ndarray], vocoded: list[np.ndarray], real: list[np.ndarray],
    others: np.ndarray | None = None,
) -> Similarity:
    """Similarity from embeddings; `centre` are real clips that are not among `real` and `vocoded`, `others` `[S, E]` other
    people (default: Resemblyzer's)."""
    middle = centroid(centre)

    def mean(embeddings: list[np.ndarray]) -> float:
        return float(np.mean([e @ middle for e in embeddings]))

    others = other_speakers() if others is None else others
    return Similarity(float((others @ middle).mean()), mean(clone), mean(vocoded), mean(real))
