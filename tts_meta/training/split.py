"""Who is trained on and how utterances are drawn: the same for the aligner and phase 1."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tts_meta.data.speech import SpeechCorpus, Utterance
from tts_meta.errors import InputError


def _hash(speaker: str) -> int:
    """0 to 999; warped copies have their original's."""
    return zlib.crc32(speaker.split("@")[0].encode()) % 1000


def take_fold(speakers: Sequence[str], share: float) -> list[str]:
    """The speakers that belong to a fold of about `share` of them; warped copies go with their original.

    A speaker's place depends on its name alone. Of few speakers chance may choose none: then the one with the lowest
    number is taken, if there are two or more and `share` is not 0.
    """
    found = [s for s in speakers if _hash(s) < 1000 * share]
    originals = sorted({s.split("@")[0] for s in speakers}, key=lambda s: (_hash(s), s))
    if not found and share > 0 and len(originals) > 1:
        found = [s for s in speakers if s.split("@")[0] == originals[0]]
    return found


def split_speakers(corpus: SpeechCorpus, teachers: Sequence[str], fold_share: float) -> tuple[list[str], list[str]]:
    """(speakers that phi is fitted to, fold kept for sigma), both sorted; `teachers` (corpora) are never in the fold.

    Raises InputError when nobody is left to fit.
    """
    groups = corpus.by_speaker()
    fold = set(take_fold([s for s, us in groups.items() if us[0].corpus not in teachers], fold_share))
    fitted = sorted(set(groups) - fold)
    if not fitted:
        raise InputError(f"All {len(fold)} speakers are in the fold of {fold_share:g}; give more speakers or a smaller fold.")
    return fitted, sorted(fold)


def draw_weights(utterances: Sequence[Utterance], shares: Mapping[str, float]) -> np.ndarray:
    """Probability of each utterance `[N]` so that a corpus gets its share of the draws; a corpus not named gets none.

    Without shares every utterance is as likely. Raises InputError for the name of a corpus that has no utterance here, and
    when nothing has a share.
    """
    counts: dict[str, int] = {}
    for u in utterances:
        counts[u.corpus] = counts.get(u.corpus, 0) + 1
    check_corpora("corpus_weights", shares, counts)
    if not shares:
        return np.full(len(utterances), 1 / len(utterances))
    weights = np.array([shares.get(u.corpus, 0.0) / counts[u.corpus] for u in utterances])
    return weights / weights.sum()


def check_corpora(key: str, shares: Mapping[str, float], present: Iterable[str]) -> None:
    """Raises InputError when `shares` (the setting `key`) names a corpus that is not `present`, or gives none a share."""
    known = sorted(present)
    unknown = sorted(set(shares) - set(known))
    if unknown:
        raise InputError(
            f"{key} names {', '.join(unknown)}, but the training speakers are of {', '.join(known) or 'no corpus'}; name "
            "these, or none for equal shares."
        )
    if shares and not sum(shares.values()) > 0:
        raise InputError(f"{key} gives no corpus a share; give one more than 0, or name none for equal shares.")


def draw_batch(
    utterances: Sequence[Utterance], weights: np.ndarray, size: int, seed: int, step: int
) -> list[Utterance]:
    """The batch of `step`: utterances of similar length, the same on every rank and on a resumed run."""
    rng = np.random.default_rng([seed, step])
    pool = rng.choice(len(utterances), 4 * size, p=weights)
    ordered = sorted(pool, key=lambda i: utterances[i].frames)
    group = rng.integers(4)
    return [utterances[i] for i in ordered[group * size : (group + 1) * size]]
