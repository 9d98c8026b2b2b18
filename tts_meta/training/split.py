"""Who is trained on and how utterances are drawn: the same for the aligner and phase 1."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from tts_meta.data.speech import SpeechCorpus, Utterance


def in_fold(speaker: str, share: float) -> bool:
    """Whether a speaker belongs to the fold kept out of phase 1; warped copies go with their original."""
    return zlib.crc32(speaker.split("@")[0].encode()) % 1000 < 1000 * share


def split_speakers(corpus: SpeechCorpus, teachers: Sequence[str], fold_share: float) -> tuple[list[str], list[str]]:
    """(speakers that phi is fitted to, fold kept for sigma), both sorted; `teachers` (corpora) are never in the fold."""
    fitted: list[str] = []
    fold: list[str] = []
    for name, utterances in corpus.by_speaker().items():
        task = utterances[0].corpus not in teachers
        (fold if task and in_fold(name, fold_share) else fitted).append(name)
    return sorted(fitted), sorted(fold)


def draw_weights(utterances: Sequence[Utterance], shares: Mapping[str, float]) -> np.ndarray:
    """Probability of each utterance `[N]` so that a corpus gets its share of the draws; a corpus not named gets none."""
    counts: dict[str, int] = {}
    for u in utterances:
        counts[u.corpus] = counts.get(u.corpus, 0) + 1
    weights = np.array([shares.get(u.corpus, 0.0) / counts[u.corpus] for u in utterances])
    return weights / weights.sum()


def draw_batch(
    utterances: Sequence[Utterance], weights: np.ndarray, size: int, seed: int, step: int
) -> list[Utterance]:
    """The batch of `step`: utterances of similar length, the same on every rank and on a resumed run."""
    rng = np.random.default_rng([seed, step])
    pool = rng.choice(len(utterances), 4 * size, p=weights)
    ordered = sorted(pool, key=lambda i: utterances[i].frames)
    group = rng.integers(4)
    return [utterances[i] for i in ordered[group * size : (group + 1) * size]]
