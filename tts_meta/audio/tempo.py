"""Speech faster or slower at its own pitch, by overlapping stretches of it where they are most alike (WSOLA)."""

from __future__ import annotations

import numpy as np

WINDOW = 0.016  # s of each stretch: a period or two of a voice; longer ones swallow consonants
SEARCH = 0.008  # s that a stretch may be moved either way to fit the one before it: any period of a voice of 63 Hz or more


def change_tempo(samples: np.ndarray, rate: int, factor: float) -> np.ndarray:
    """`[N]` samples at `rate` (Hz) played `factor` times as fast: `[N / factor]` float32, the pitch unchanged."""
    half = int(WINDOW * rate) // 2
    reach = int(SEARCH * rate)
    if abs(factor - 1) < 1e-3 or len(samples) < 4 * half:
        return np.asarray(samples, dtype=np.float32)
    window = np.hanning(2 * half + 1)[:-1]
    padded = np.concatenate([np.zeros(half + reach), samples.astype(np.float64), np.zeros(3 * half + reach)])
    count = int(len(samples) / factor / half) + 1
    out = np.zeros((count + 1) * half)
    weight = np.zeros_like(out)
    at = half + reach  # of the stretch that was taken last
    for i in range(count):
        wanted = int(i * half * factor) + half + reach
        if i:
            # What followed the last stretch is what should come now; the place near `wanted` that is most like it.
            natural = padded[at + half : at + 3 * half]
            low = min(max(0, wanted - reach), len(padded) - 2 * half - 1)
            region = padded[low : min(low + 2 * reach + 2 * half, len(padded))]
            if len(natural) == 2 * half and len(region) > 2 * half:
                likeness = np.correlate(region, natural, "valid")
                energy = np.sqrt(np.convolve(region**2, np.ones(2 * half), "valid") + 1e-9)
                at = low + int(np.argmax(likeness / energy))
            else:
                at = low
        else:
            at = wanted
        stretch = padded[at : at + 2 * half]
        if len(stretch) < 2 * half:
            break
        start = i * half
        end = min(start + 2 * half, len(out))
        out[start:end] += (stretch * window)[: end - start]
        weight[start:end] += window[: end - start]
    out /= np.maximum(weight, 0.1)
    return out[half : half + int(round(len(samples) / factor))].astype(np.float32)
