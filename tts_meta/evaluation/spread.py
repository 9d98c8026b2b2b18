"""How much a voice varies: what an average speaks flat, and a buzz speaks not at all.

A mean of absolute errors is least where a mel is smooth; the standard deviation over time of its cepstra, as a share of the
recording's, shows how smooth. So does that of log F0 for the melody.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tts_meta.nets.cepstra import cepstral_basis

BANDS = {"1-8": (1, 9), "9-20": (9, 21), "21-40": (21, 41)}
"""Cepstra: the colour of the voice, its formants, its fine structure."""


def cepstral_spread(mels: Sequence[np.ndarray]) -> dict[str, float]:
    """Standard deviation over the frames of log-mels `[L, 80]` (nats), the mean over the cepstra of each of BANDS."""
    mel = np.concatenate(mels).astype(np.float64)
    rows = mel @ cepstral_basis(mel.shape[1], max(b for _, b in BANDS.values())).numpy().T
    deviation = rows.std(0)
    return {name: float(deviation[a:b].mean()) for name, (a, b) in BANDS.items()}


def spread_ratios(said: Sequence[np.ndarray], recorded: Sequence[np.ndarray]) -> dict[str, float]:
    """{band: spread of what was said over the recording's}; 1 is as lively as the speaker."""
    ours, theirs = cepstral_spread(said), cepstral_spread(recorded)
    return {k: ours[k] / theirs[k] for k in BANDS}


def pitch_ratios(said: Sequence[np.ndarray], recorded: Sequence[np.ndarray]) -> tuple[float, float] | None:
    """(mean F0, spread of log F0) over the recording's, of curves `[L]` (Hz, 0 unvoiced); None where one is never voiced."""
    logs = [np.concatenate([np.log(f[f > 0]) for f in curves]) for curves in (said, recorded)]
    if min(map(len, logs)) < 2 or logs[1].std() == 0:
        return None
    return float(np.exp(logs[0].mean() - logs[1].mean())), float(logs[0].std() / logs[1].std())
