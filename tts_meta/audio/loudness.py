"""Integrated loudness (ITU-R BS.1770-4) of one channel, brought to one target, with a peak cap.

Written out: a library for it imports all of scipy.signal, a second before the first word is spoken.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

TARGET_LUFS = -23.0
PEAK = 0.95
BLOCK_SECONDS, HOP_SHARE = 0.4, 0.25
SILENT_LUFS, GATE_LU = -70.0, -10.0
"""Blocks under the first are silence; those GATE_LU under the mean of the others do not count."""


@lru_cache(maxsize=4)
def _k_weighting(rate: int) -> np.ndarray:
    """Impulse response `[rate / 2]`: a shelf of 4 dB at 1.5 kHz, then a high pass at 38 Hz. It rings for less than that."""
    z = np.exp(-2j * np.pi * np.arange(rate + 1) / (2 * rate))
    a, w = 10 ** (4.0 / 40), 2 * np.pi * 1500.0 / rate
    cos, wide = np.cos(w), 2 * np.sqrt(a) * np.sin(w) * np.sqrt(0.5)
    plus, minus = a + 1 + (a - 1) * cos, a + 1 - (a - 1) * cos
    shelf = np.polyval([a * (plus - wide), -2 * a * (a - 1 + (a + 1) * cos), a * (plus + wide)], z)
    shelf /= np.polyval([minus - wide, 2 * (a - 1 - (a + 1) * cos), minus + wide], z)
    w = 2 * np.pi * 38.0 / rate
    cos, sin = np.cos(w), np.sin(w)  # Q is 0.5, so alpha is the sine
    response = shelf * (1 + cos) / 2 * np.polyval([1, -2, 1], z) / np.polyval([1 - sin, -2 * cos, 1 + sin], z)
    return np.fft.irfft(response, 2 * rate)[: rate // 2]


def integrated_loudness(samples: np.ndarray, rate: int) -> float:
    """Gated loudness (LUFS) of `[N]` samples; -inf for silence and for clips under 0.4 s, which have no block."""
    if len(samples) < int(BLOCK_SECONDS * rate):
        return -np.inf
    response = _k_weighting(rate)
    size = len(samples) + len(response)
    size += -size % 4096
    weighted = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)[: len(samples)]
    count = int(np.round((len(samples) / rate - BLOCK_SECONDS) / (BLOCK_SECONDS * HOP_SHARE))) + 1
    starts = [int(BLOCK_SECONDS * HOP_SHARE * i * rate) for i in range(count)]
    ends = [int(BLOCK_SECONDS * (HOP_SHARE * i + 1) * rate) for i in range(count)]
    total = np.concatenate([[0.0], np.cumsum(weighted**2)])
    power = (total[np.minimum(ends, len(samples))] - total[starts]) / (BLOCK_SECONDS * rate)
    with np.errstate(divide="ignore"):
        heard = power[_lufs(power) >= SILENT_LUFS]
        loud = heard[_lufs(heard) > _lufs(heard.mean()) + GATE_LU] if len(heard) else heard
        return float(_lufs(loud.mean())) if len(loud) else -np.inf


def _lufs(power: np.ndarray) -> np.ndarray:
    return -0.691 + 10 * np.log10(power)


def normalise_loudness(samples: np.ndarray, rate: int, target: float = TARGET_LUFS) -> np.ndarray:
    """Scale `[N]` so that its integrated loudness is `target` (LUFS) and its peak at most PEAK; float32.

    Clips under 0.4 s (too short for the gated measure) and silent ones are scaled by RMS or returned as they are.
    """
    samples = np.asarray(samples, dtype=np.float32)
    peak = float(np.abs(samples).max(initial=0.0))
    if peak < 1e-6:
        return samples
    loudness = integrated_loudness(samples, rate)
    if not np.isfinite(loudness):
        loudness = 20 * np.log10(float(np.sqrt((samples.astype(np.float64) ** 2).mean())) + 1e-12)
    gain = 10 ** ((target - loudness) / 20)
    return (samples * min(gain, PEAK / peak)).astype(np.float32)
