"""Long recordings into clips: cut at pauses, never inside a word, with MARGIN of what is there on both sides.

With a text the words' times are found by the starter's aligner, and a pause is a place to cut only where no word spans
it; the pieces get their words. Among the pauses, the ones that make pieces near WANTED s are taken (shortest path).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from tts_meta.audio.activity import speech_spans
from tts_meta.audio.features import clip_features
from tts_meta.data.batch import best_path, centred_mel, collate, make_item
from tts_meta.errors import InputError
from tts_meta.nets.aligner import LOUD_PENALTY, STATES, alignment_features, quiet_frames
from tts_meta.starters.small_starter import Starter
from tts_meta.text.phonemes import BOUNDARY, SILENCE, Phone, phonemize

SHORTEST, WANTED, LONGEST = 1.0, 6.0, 12.0  # s
MARGIN = 0.25  # s
PAUSE = 0.15  # s, shortest pause to cut in
SLACK = 0.08  # s a word's time may be wrong
EDGE = 0.12  # s that voice activity may miss of a word
HISS = 3e-4  # -70 dB
REACH = 3  # words that the first guess may be off at a pause
LONGEST_WITH_TEXT = 180.0
"""s; the memory of the alignment grows with its square (150 MB here)."""


@dataclass(frozen=True)
class Piece:
    """`start` to `end` (s) of the recording; its words, None where the recording has no text."""

    start: float
    end: float
    text: str | None


def cut(samples: np.ndarray, rate: int, text: str | None, starter: Starter) -> list[Piece]:
    """Pieces of `[N]` samples, all of SHORTEST to LONGEST s where the pauses allow it; no speech gives none.

    Raises InputError for a recording with text of more than LONGEST_WITH_TEXT s.
    """
    spans = speech_spans(samples, rate)
    if not spans:
        return []
    first, last = spans[0][0], spans[-1][1]
    words = (text or "").split()
    reading = Reading(starter, samples, rate, words, spans) if words else None
    times = reading.times() if reading else []
    gaps = [(a[1], b[0]) for a, b in zip(spans, spans[1:], strict=False) if b[0] - a[1] >= PAUSE]
    cuts = choose([g for g in gaps if not any(s < middle(g) - SLACK and e > middle(g) + SLACK for s, e in times)], first, last)
    counts = [sum((s + e) / 2 <= middle(g) for s, e in times) for g in cuts]
    if reading and cuts:
        counts = reading.split([middle(g) for g in cuts], counts)
    bounds, over = [(first - MARGIN, first), *cuts, (last, last + MARGIN)], [0, *counts, len(words)]
    pieces = []
    for i, (left, right) in enumerate(zip(bounds, bounds[1:], strict=False)):
        # Half of a short pause goes to each side; silence beyond the margin to neither.
        start = max(0.0, left[1] - min(MARGIN, (left[1] - left[0]) / 2))
        end = min(len(samples) / rate, right[0] + min(MARGIN, (right[1] - right[0]) / 2))
        mine = words[over[i] : over[i + 1]]
        if mine or not words:
            pieces.append(Piece(start, end, " ".join(mine) if words else None))
    return pieces


def middle(span: tuple[float, float]) -> float:
    """Of a span (s)."""
    return (span[0] + span[1]) / 2




def choose(gaps: list[tuple[float, float]], first: float, last: float) -> list[tuple[float, float]]:
    """The pauses to cut in: the cheapest way from `first` to `last` (s), by the lengths of the pieces and the pauses."""
    at = [first, *(middle(g) for g in gaps), last]
    cost = [0.0] + [float("inf")] * (len(at) - 1)
    came = [0] * len(at)
    for j in range(1, len(at)):
        for i in range(j):
            length = at[j] - at[i]
            # Too long is worse than too short; a long pause is a safer place than a short one.
            price = ((length - WANTED) / WANTED) ** 2 + 100 * max(0.0, length - LONGEST) + 10 * max(0.0, SHORTEST - length)
            price -= 0.5 * min(1.0, gaps[j - 1][1] - gaps[j - 1][0]) if j <= len(gaps) else 0.0
            if cost[i] + price < cost[j]:
                cost[j], came[j] = cost[i] + price, i
    chosen, j = [], came[-1]
    while j > 0:
        chosen.append(gaps[j - 1])
        j = came[j]
    return chosen[::-1]


class Reading:
    """Written words beside the frames of their recording, scored by the starter's aligner.

    Raises InputError when the recording is too long or too short for the text.
    """

    def __init__(
        self, starter: Starter, samples: np.ndarray, rate: int, words: list[str], spans: list[tuple[float, float]]
    ) -> None:
        seconds = len(samples) / rate
        if seconds > LONGEST_WITH_TEXT:
            raise InputError(
                f"a recording of {seconds:.0f} s was given with one text; at most {LONGEST_WITH_TEXT:.0f} s are expected "
                "(cut it into shorter files, or leave out the text to have it recognised)."
            )
        self.aligner = starter.model.aligner
        encode = starter.table.encode
        self.silence, self.boundary = encode([Phone(SILENCE)])[0], encode([Phone(BOUNDARY)])[0]
        self.words = [encode(_phones(w, starter))[0] for w in words]
        # Joined and gated recordings have pauses of zeros, unlike any silence the aligner knows.
        hiss = np.random.default_rng(0).normal(size=len(samples)).astype(np.float32) * HISS
        features = clip_features(samples + hiss, rate)
        if features is None or len(features.mel) < 2 * sum(map(len, self.words)):
            raise InputError("its text is too long to be said in that time (check that it is this recording's).")
        batch = collate([make_item([1], [0], features.mel, features.f0, starter.norm)], 1)
        quiet = quiet_frames(batch["energy_nats"][0])
        self.scores = self.aligner.scores(alignment_features(centred_mel(batch)[0]), quiet)
        self.frame = features.seconds / len(features.mel)  # s
        # The features are of the recording without its outer silence.
        self.offset = max(0.0, spans[0][0] - MARGIN)
        at = self.offset + (np.arange(self.scores.shape[1]) + 0.5) * self.frame
        outside = ~np.any([(at > a - EDGE) & (at < b + EDGE) for a, b in spans], axis=0)
        spoken = 1 - self.aligner.silence.repeat_interleave(STATES).unsqueeze(1)
        self.scores = self.scores - LOUD_PENALTY * spoken * torch.from_numpy(outside).to(self.scores)

    def phones(self, start: int, end: int) -> tuple[list[int], list[int]]:
        """(ids, word of each: -1 for silence) of the words `start` to `end`."""
        ids, owner = list(self.silence), [-1]
        for number in range(start, end):
            if not self.words[number]:
                continue
            if len(ids) > 1:
                ids, owner = ids + self.boundary, [*owner, -1]
            ids, owner = ids + self.words[number], owner + [number] * len(self.words[number])
        return ids + self.silence, [*owner, -1]

    def times(self) -> list[tuple[float, float]]:
        """(start, end) in s of every word; words without sounds take no time."""
        ids, owner = self.phones(0, len(self.words))
        durations = best_path(self.aligner, self.scores, torch.tensor(ids))[0].numpy()
        ends = self.offset + np.cumsum(durations) * self.frame
        starts, own = ends - durations * self.frame, np.array(owner)
        found: list[tuple[float, float]] = []
        for number in range(len(self.words)):
            where = np.flatnonzero(own == number)
            before = found[-1][1] if found else self.offset
            found.append((float(starts[where[0]]), float(ends[where[-1]])) if len(where) else (before, before))
        return found

    def fit(self, start: float, end: float, first: int, last: int) -> float:
        """Log-likelihood of the words `first` to `last` between two times (s), nats; -inf where they do not fit."""
        a, b = (max(0, round((t - self.offset) / self.frame)) for t in (start, end))
        ids, _ = self.phones(first, last)
        scores = self.scores[:, a:b].contiguous()
        if scores.shape[1] < 2 * len(ids):
            return -math.inf
        return best_path(self.aligner, scores, torch.tensor(ids))[2] * scores.shape[1]

    def split(self, cuts: list[float], guess: list[int]) -> list[int]:
        """How many words are over at each of the `cuts` (s): the likeliest within REACH words of the `guess`.

        The path through the whole recording may put a word on the wrong side of a pause, where breath is as good as a
        fricative; the pieces by themselves, each between silences, know better.
        """
        edges = [self.offset, *cuts, self.offset + self.frame * self.scores.shape[1]]
        totals: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
        for number in range(len(edges) - 1):
            last = number == len(cuts)
            ends = [len(self.words)] if last else range(max(0, guess[number] - REACH), guess[number] + REACH + 1)
            following: dict[int, tuple[float, list[int]]] = {}
            for at in ends:
                options = [
                    (total + self.fit(edges[number], edges[number + 1], before, at), [*way, at])
                    for before, (total, way) in totals.items() if before <= at <= len(self.words)
                ]
                if options:
                    following[at] = max(options, key=lambda o: o[0])
            totals = following
        best, way = totals[len(self.words)]
        return way[:-1] if math.isfinite(best) else guess


def _phones(word: str, starter: Starter) -> list[Phone]:
    try:
        return phonemize(word, starter.espeak_voice, inventory=starter.table.inventory)[1:-1]
    except InputError:  # a lone dash or quotation mark
        return []
