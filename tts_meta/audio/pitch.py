"""Fundamental frequency by SwiftF0 (a small ONNX network inside its package), on the grid of the mel frames."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tts_meta.audio.mel import frame_times

F0_MIN, F0_MAX = 55.0, 600.0  # Hz: speech
CONFIDENCE = 0.6


@lru_cache(maxsize=1)
def _detector():
    from swift_f0 import SwiftF0

    return SwiftF0(threads=1)


def f0_at_frames(samples: np.ndarray, rate: int, frames: int) -> np.ndarray:
    """F0 of `[N]` samples at each of `frames` mel frames: `[L]` in Hz, 0 where unvoiced."""
    found = _detector().detect(np.asarray(samples, dtype=np.float32), rate, F0_MIN, F0_MAX)
    times = np.asarray(found.timestamps)
    voiced = (np.asarray(found.confidence) >= CONFIDENCE) & (found.pitch_hz >= F0_MIN) & (found.pitch_hz <= F0_MAX)
    if voiced.sum() < 2:
        return np.zeros(frames, dtype=np.float32)
    at = frame_times(frames)
    log_f0 = np.interp(at, times[voiced], np.log(np.asarray(found.pitch_hz)[voiced]))
    nearest = np.clip(np.searchsorted(times, at - (times[1] - times[0]) / 2), 0, len(times) - 1)
    return np.where(voiced[nearest], np.exp(log_f0), 0.0).astype(np.float32)
