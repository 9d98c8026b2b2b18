"""Speech faster at its own pitch, by overlapping stretches of it where they are most alike (WSOLA; Verhelst & Roelands 1993).

Pauses give more of the time than speech, as they do where people talk fast (Covell et al. 1998), so the words lose less.
"""

from __future__ import annotations

import numpy as np

WINDOW = 0.016  # s of each stretch: a period or two of a voice; longer ones swallow consonants
SEARCH = 0.008  # s that a stretch may be moved either way to fit the one before it: any period of a voice of 63 Hz or more
FRAME = 0.0116  # s of a frame whose loudness is looked at
SILENT_DB = 30.0  # under the loud frames (their 95th percentile): a pause
PAUSE_SHARE = 0.3  # time that a frame of a pause keeps, as a share of what one of speech keeps
LEAST, SMOOTH = 0.2, 5  # no frame is played faster than five times; the pace changes over so many frames


def schedule(samples: np.ndarray, rate: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """(places in what comes out, the same places in `samples` `[N]`), both in samples and rising, for `factor` > 1."""
    hop = int(FRAME * rate)
    count = -(-len(samples) // hop)
    frames = np.zeros(count * hop)
    frames[: len(samples)] = samples
    level = 10 * np.log10((frames.reshape(count, hop) ** 2).mean(1) + 1e-10)
    share = np.where(level > np.percentile(level, 95) - SILENT_DB, 1.0, PAUSE_SHARE)
    share = np.convolve(np.pad(share, SMOOTH // 2, "edge"), np.ones(SMOOTH) / SMOOTH, "valid")
    low, high = 0.0, 1 / (LEAST * PAUSE_SHARE)
    for _ in range(50):  # the time a frame of speech keeps, so that all together are as long as was asked
        kept = np.clip(share * (low + high) / 2, LEAST, 1.0)
        low, high = ((low + high) / 2, high) if kept.sum() < count / factor else (low, (low + high) / 2)
    edges = np.concatenate([[0.0], np.cumsum(kept)]) * (len(samples) / factor / kept.sum())
    return edges, np.minimum(np.arange(count + 1) * hop, len(samples)).astype(float)


def change_tempo(samples: np.ndarray, rate: int, factor: float) -> np.ndarray:
    """`[N]` samples at `rate` (Hz) played `factor` times as fast: `[N / factor]` float32, the pitch unchanged. Up to 4 times as
    fast pauses are cut more than speech; beyond, and where it is slower, all goes at one pace."""
    half = int(WINDOW * rate) // 2
    reach = int(SEARCH * rate)
    if abs(factor - 1) < 1e-3 or len(samples) < 4 * half:
        return np.asarray(samples, dtype=np.float32)
    window = np.hanning(2 * half + 1)[:-1]
    padded = np.concatenate([np.zeros(half + reach), samples.astype(np.float64), np.zeros(3 * half + reach)])
    even = np.array([0.0, len(samples) / factor]), np.array([0.0, float(len(samples))])
    edges, sources = schedule(samples, rate, factor) if 1 < factor <= 4 else even
    count = int(len(samples) / factor / half) + 1
    out = np.zeros((count + 1) * half)
    weight = np.zeros_like(out)
    at = half + reach  # of the stretch that was taken last
    for i in range(count):
        wanted = int(np.interp(i * half, edges, sources)) + half + reach
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
