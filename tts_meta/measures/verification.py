"""Speaker verification of clones, Meta-TTS's protocol (Huang et al. 2022): every sample is tried against real clips of
its own speaker and of others; cosine of the embeddings is the score."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_curve

TRIALS = 4


def trials(
    samples: np.ndarray, speakers: list[str], real: dict[str, np.ndarray], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Scores `[N, 4]` of each sample `[N, 256]` against clips of its own speaker (`speakers[n]`) and of others.

    `real` are unit embeddings `[C, 256]` of each speaker's clips. Clips are drawn without replacement where there are
    enough, the others' from 4 different speakers. Raises ValueError for fewer than 5 speakers.
    """
    if len(real) < TRIALS + 1:
        raise ValueError(f"verification needs {TRIALS + 1} speakers, {len(real)} given")
    rng = np.random.default_rng(seed)
    same, different = [], []
    for sample, speaker in zip(samples, speakers, strict=True):
        own = real[speaker]
        same.append(own[rng.choice(len(own), TRIALS, replace=len(own) < TRIALS)] @ sample)
        names = rng.choice(sorted(set(real) - {speaker}), TRIALS, replace=False)
        different.append([real[n][rng.integers(len(real[n]))] @ sample for n in names])
    return np.array(same), np.array(different)


def equal_error_rate(same: np.ndarray, different: np.ndarray) -> float:
    """The error rate at the threshold where as many true trials are rejected as false ones accepted."""
    truth = np.concatenate([np.ones(same.size), np.zeros(different.size)])
    false_accept, accept, _ = roc_curve(truth, np.concatenate([same.ravel(), different.ravel()]))
    false_reject = 1 - accept
    at = int(np.nanargmin(np.abs(false_reject - false_accept)))
    return float((false_accept[at] + false_reject[at]) / 2)


def pair_accuracy(same: np.ndarray, different: np.ndarray) -> float:
    """Share of the (same, different) pairs of one sample in which the own speaker scores higher."""
    return float((same[:, :, None] > different[:, None, :]).mean())
