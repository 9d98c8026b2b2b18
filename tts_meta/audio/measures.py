"""What a recording is like, whatever is said in it: noise, bandwidth, loudness, clipping, pauses."""

from __future__ import annotations

import numpy as np

from tts_meta.audio.loudness import integrated_loudness

FRAME_SECONDS = 0.025
WIDE_STEP, COARSE = 0.02, 0.005
"""Share of the peak that lies between the two largest sizes of a sample in a coarse coding (mu-law: 0.03), and the share of
samples at the peak that is too much for it too."""


def frame_levels(samples: np.ndarray, rate: int) -> np.ndarray:
    """Mean power of frames of 25 ms of `[N]` samples: `[L]` dB (full scale 0)."""
    size = max(1, int(rate * FRAME_SECONDS))
    count = len(samples) // size
    power = (samples[: count * size].reshape(count, size).astype(np.float64) ** 2).mean(1)
    return 10 * np.log10(power + 1e-12)


def signal_to_noise(samples: np.ndarray, rate: int, spans: list[tuple[float, float]]) -> float | None:
    """dB between the speech in `spans` (start, end in s) and what is outside them; None when nothing is outside.

    Frames within 0.1 s of a span's edge are left out: breath and reverberation belong to neither side.
    """
    levels = frame_levels(samples, rate)
    at = (np.arange(len(levels)) + 0.5) * FRAME_SECONDS
    inside = np.zeros(len(levels), bool)
    near = np.zeros(len(levels), bool)
    for start, end in spans:
        inside |= (at >= start) & (at <= end)
        near |= (at >= start - 0.1) & (at <= end + 0.1)
    if not inside.any() or (~near).sum() < 4:
        return None
    speech = 10 * np.log10(np.mean(10 ** (levels[inside] / 10)))
    # The median: one click in a pause is not the room.
    return float(speech - np.median(levels[~near]))


def power_density(samples: np.ndarray, rate: int, size: int) -> np.ndarray:
    """Welch's estimate `[size / 2 + 1]` (1 / Hz) of `[N]` samples, N >= size: the mean over Hann windows half over each other,
    each without its own mean. scipy.signal.welch (a test compares), whose import takes a second."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size // 2]
    power = np.zeros(size // 2 + 1)
    for start in range(0, len(frames), 256):  # a long recording is not laid out at once
        part = frames[start : start + 256].astype(np.float64)
        power += (np.abs(np.fft.rfft((part - part.mean(1, keepdims=True)) * window)) ** 2).sum(0)
    power[1:-1] *= 2
    return power / (len(frames) * rate * (window**2).sum())


def bandwidth(samples: np.ndarray, rate: int) -> float:
    """Highest frequency (Hz) with more than noise: where the loud frames' spectrum falls 65 dB under its peak for good.

    A telephone line ends at 3.4 kHz, a strong mp3 at 11 to 16 kHz, an upsampled file where its first rate did.
    """
    if len(samples) < 512:
        return rate / 2
    size = 2048 if len(samples) >= 2048 else 512
    level = 10 * np.log10(power_density(samples, rate, size) + 1e-16)
    smooth = np.convolve(np.pad(level, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    above = np.flatnonzero(smooth > smooth.max() - 65)
    return float(above[-1] * rate / size)


def loudness(samples: np.ndarray, rate: int) -> float | None:
    """Integrated loudness (LUFS, ITU-R BS.1770); None for clips under 0.4 s and silence."""
    found = integrated_loudness(samples, rate)
    return found if np.isfinite(found) else None


def clipped_share(samples: np.ndarray) -> float:
    """Share of the samples that sit on the clip's own largest value in runs of three or more; 0 for quiet clips.

    Coded in wide steps (mu-law, A-law), the largest is that of many samples that were never cut off: a share under COARSE
    tells nothing then."""
    size = np.abs(samples)
    peak = float(size.max(initial=0.0))
    if peak < 0.1:
        return 0.0
    top = size >= 0.999 * peak
    runs = np.diff(np.concatenate([[0], top.astype(np.int8), [0]]))
    lengths = np.flatnonzero(runs == -1) - np.flatnonzero(runs == 1)
    share = float(lengths[lengths >= 3].sum()) / max(1, len(samples))
    coarse = float(size[~top].max(initial=0.0)) < (1 - WIDE_STEP) * peak
    return 0.0 if coarse and share < COARSE else share


def longest_pause(spans: list[tuple[float, float]]) -> float:
    """Longest silence (s) between two stretches of speech; 0 when there is one stretch."""
    return max((b[0] - a[1] for a, b in zip(spans, spans[1:], strict=False)), default=0.0)
