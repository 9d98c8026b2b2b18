"""Integrated loudness (ITU-R BS.1770, through pyloudnorm) brought to one target, with a peak cap."""

from __future__ import annotations

import numpy as np
import pyloudnorm

TARGET_LUFS = -23.0
PEAK = 0.95


def normalise_loudness(samples: np.ndarray, rate: int, target: float = TARGET_LUFS) -> np.ndarray:
    """Scale `[N]` so that its integrated loudness is `target` (LUFS) and its peak at most PEAK; float32.

    Clips under 0.4 s (too short for the gated measure) and silent ones are scaled by RMS or returned as they are.
    """
    samples = np.asarray(samples, dtype=np.float32)
    peak = float(np.abs(samples).max(initial=0.0))
    if peak < 1e-6:
        return samples
    loudness = -np.inf
    if len(samples) >= int(0.4 * rate):
        loudness = pyloudnorm.Meter(rate).integrated_loudness(samples.astype(np.float64))
    if not np.isfinite(loudness):
        loudness = 20 * np.log10(float(np.sqrt((samples.astype(np.float64) ** 2).mean())) + 1e-12)
    gain = 10 ** ((target - loudness) / 20)
    return (samples * min(gain, PEAK / peak)).astype(np.float32)
