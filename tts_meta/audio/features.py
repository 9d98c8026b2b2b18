"""One clip -> what the model sees of it: trimmed, loudness-normalised samples, log-mel and F0.

Training, cloning and evaluation all go through this one function, so that they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tts_meta.audio.activity import trim_to_speech
from tts_meta.audio.files import resample
from tts_meta.audio.loudness import normalise_loudness
from tts_meta.audio.mel import SAMPLE_RATE, log_mel
from tts_meta.audio.pitch import f0_at_frames


@dataclass(frozen=True)
class ClipFeatures:
    """What a clip is to a network: trimmed sound, log-mel, F0, and the seconds in which somebody speaks."""

    samples: np.ndarray  # [N] at 22.05 kHz
    mel: np.ndarray  # [L, 80] nats
    f0: np.ndarray  # [L] Hz, 0 = unvoiced
    speech_seconds: float

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def clip_features(samples: np.ndarray, rate: int, warp: float = 1.0) -> ClipFeatures | None:
    """Features of `[N]` samples at `rate` (Hz); None when no speech is found.

    `warp` > 1 plays the clip faster: pitch, formants and tempo all rise by that factor, which makes another speaker of
    it (used to have more training speakers, never on a user's clips).
    """
    trimmed, speech = trim_to_speech(samples, rate)
    if speech < 0.1:
        return None
    audio = resample(trimmed, rate, SAMPLE_RATE) if warp == 1.0 else resample(trimmed, int(rate * warp), SAMPLE_RATE)
    audio = normalise_loudness(audio, SAMPLE_RATE)
    if len(audio) < 1024:
        return None
    mel = log_mel(audio)
    return ClipFeatures(audio, mel, f0_at_frames(audio, SAMPLE_RATE, len(mel)), speech / warp)
