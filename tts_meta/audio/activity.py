"""Voice activity by silero-vad (its model is inside the package): where speech is, and trimming to it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from tts_meta.audio.files import resample

MARGIN_SECONDS = 0.25
"""Silence kept on each side of the speech: the vocoder and the aligner both want an edge."""
_RATE = 16000


@lru_cache(maxsize=1)
def _model():
    from silero_vad import load_silero_vad

    threads = torch.get_num_threads()
    try:
        return load_silero_vad()
    finally:
        torch.set_num_threads(threads)  # loading it sets one thread for the whole process


def speech_spans(samples: np.ndarray, rate: int) -> list[tuple[float, float]]:
    """Speech in `[N]` samples as (start, end) pairs in s; empty when there is none."""
    from silero_vad import get_speech_timestamps

    audio = torch.from_numpy(resample(samples, rate, _RATE))
    peak = float(audio.abs().max()) if audio.numel() else 0.0
    if peak < 1e-4:
        return []
    found = get_speech_timestamps(audio / peak * 0.9, _model(), sampling_rate=_RATE, speech_pad_ms=0)
    return [(s["start"] / _RATE, s["end"] / _RATE) for s in found]


def trim_to_speech(samples: np.ndarray, rate: int, margin: float = MARGIN_SECONDS) -> tuple[np.ndarray, float]:
    """Cut silence before the first and after the last speech, keeping `margin` (s) of what is there.

    Returns the trimmed samples `[N']` and the seconds of speech found; no speech gives an empty array and 0.
    """
    spans = speech_spans(samples, rate)
    if not spans:
        return samples[:0], 0.0
    start = max(0, int((spans[0][0] - margin) * rate))
    end = min(len(samples), int((spans[-1][1] + margin) * rate))
    return samples[start:end], sum(e - s for s, e in spans)


def shorten_pauses(
    samples: np.ndarray, rate: int, spans: list[tuple[float, float]], longest: float, kept: float,
) -> np.ndarray:
    """`[N]` samples whose pauses between `spans` of speech (s) last `kept` s where they lasted more than `longest` s: half of
    it is the pause's beginning, half its end."""
    parts, at = [], 0
    for before, after in zip(spans, spans[1:], strict=False):
        if after[0] - before[1] > longest:
            parts.append(samples[at : int((before[1] + kept / 2) * rate)])
            at = int((after[0] - kept / 2) * rate)
    return np.concatenate([*parts, samples[at:]])
