"""Distances between a clone and the real recording of the same sentence: MCD after time warping, F0 and voicing error.

MCD (Kubichek 1993): 10 / ln 10 * sqrt(2 sum_d (c_d - c'_d)^2), averaged over the warping path; the cepstra 1..24 are
DCT-II coefficients of the log-mel, so values compare only with values made here.
"""

from __future__ import annotations

import librosa
import numpy as np

from tts_meta.nets.cepstra import cepstral_basis

ORDER = 24


def cepstra(mel: np.ndarray) -> np.ndarray:
    """Mel cepstra `[L, 24]` (without the energy term) of a log-mel `[L, 80]` (nats)."""
    return mel @ cepstral_basis(mel.shape[1], ORDER + 1)[1:].numpy().T / np.sqrt(mel.shape[1] / 2)


def warp(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Dynamic time warping path `[K, 2]` of frame indices between `[L, D]` and `[M, D]`."""
    return librosa.sequence.dtw(a.T, b.T, metric="euclidean")[1][::-1]


def mel_cepstral_distortion(a: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray]:
    """(dB, the warping path) between two log-mels `[L, 80]`, `[M, 80]`."""
    ca, cb = cepstra(a), cepstra(b)
    path = warp(ca, cb)
    square = ((ca[path[:, 0]] - cb[path[:, 1]]) ** 2).sum(-1)
    return float(10 / np.log(10) * np.sqrt(2 * square).mean()), path


def f0_rmse_cents(a: np.ndarray, b: np.ndarray, path: np.ndarray) -> float | None:
    """Root mean square F0 difference (cents) where both are voiced along the path; None when they never are."""
    fa, fb = a[path[:, 0]], b[path[:, 1]]
    both = (fa > 0) & (fb > 0)
    if both.sum() < 5:
        return None
    return float(np.sqrt(((1200 * np.log2(fa[both] / fb[both])) ** 2).mean()))


def voicing_error(a: np.ndarray, b: np.ndarray, path: np.ndarray) -> float:
    """Share of the path's frames that are voiced on one side only; F0 `[L]`, `[M]` (Hz, 0 = unvoiced)."""
    return float(((a[path[:, 0]] > 0) != (b[path[:, 1]] > 0)).mean())
