"""From the cells of a comparison (recipes/evidence/compare.py) to numbers with intervals: means over speakers, bootstrapped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from tts_meta.measures.intelligibility import word_errors
from tts_meta.measures.similarity import similarity
from tts_meta.measures.verification import equal_error_rate, pair_accuracy, trials

REPEATS = 1000


@dataclass(frozen=True)
class Interval:
    """A mean over speakers and its 95 % percentile interval under resampling of the speakers."""

    mean: float
    low: float
    high: float

    def show(self, digits: int = 2, scale: float = 1.0) -> str:
        return f"{scale * self.mean:.{digits}f} [{scale * self.low:.{digits}f}, {scale * self.high:.{digits}f}]"


def bootstrap(values: Iterable[float], seed: int = 0) -> Interval:
    """Mean of one value a speaker. Raises ValueError when there is none."""
    x = np.array([v for v in values if v is not None and np.isfinite(v)])
    if not len(x):
        raise ValueError("no speaker has this measure")
    draws = x[np.random.default_rng(seed).integers(len(x), size=(REPEATS, len(x)))].mean(1)
    return Interval(float(x.mean()), *(float(v) for v in np.percentile(draws, [2.5, 97.5])))


def bootstrap_pooled(groups: list, measure: Callable[[list], float], seed: int = 0) -> Interval:
    """Interval of a measure of all speakers together (an error rate), resampling the speakers' groups."""
    rng = np.random.default_rng(seed)
    draws = [measure([groups[i] for i in rng.integers(len(groups), size=len(groups))]) for _ in range(REPEATS // 4)]
    return Interval(measure(groups), *(float(v) for v in np.percentile(draws, [2.5, 97.5])))


def similarity_of(judged: dict, speaker: dict) -> dict[str, float]:
    """floor, clone, ceilings and position of one measured step beside the speaker's bounds."""
    centre, clone, vocoded, real = (
        list(np.array(x, dtype=np.float32))
        for x in (speaker["centre"], *(x["embeddings"] for x in (judged, speaker["vocoded"], speaker["real"])))
    )
    return similarity(centre, clone, vocoded, real).to_dict()


def words_of(judged: dict, speaker: dict) -> tuple[int, int]:
    """(errors, words) of what the recogniser heard."""
    return word_errors(speaker["texts"], [r["heard"] or "" for r in judged["rows"]])


def pooled_wer(groups: list[tuple[int, int]]) -> float:
    """Errors over words of all speakers together."""
    return sum(errors for errors, _ in groups) / sum(words for _, words in groups)


def mean_of(judged: dict, key: str) -> float | None:
    """Mean of a measure over the sentences; `dnsmos` is its overall score. None where it was not measured."""
    values = [r.get(key) for r in judged["rows"]]
    values = [v["ovrl"] if isinstance(v, dict) else v for v in values]
    return float(np.mean([v for v in values if v is not None])) if any(v is not None for v in values) else None


def verification(judged: dict[str, dict], speakers: dict[str, dict], seed: int = 0) -> tuple[float, float, list]:
    """(equal error rate, pair accuracy, [(same, different) scores a speaker]) of `judged` {speaker: measured step}.

    The real clips tried against are those of the centroid, which no clone repeats the text of.
    """
    real = {name: np.array(s["centre"], dtype=np.float32) for name, s in speakers.items()}
    groups = []
    for name, step in judged.items():
        samples = np.array(step["embeddings"], dtype=np.float32)
        groups.append(trials(samples, [name] * len(samples), real, seed))
    same, different = (np.concatenate([g[i] for g in groups]) for i in (0, 1))
    return equal_error_rate(same, different), pair_accuracy(same, different), groups


def pooled_eer(groups: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Equal error rate over the trials of all speakers, (genuine, impostor) scores of each."""
    return equal_error_rate(np.concatenate([g[0] for g in groups]), np.concatenate([g[1] for g in groups]))

