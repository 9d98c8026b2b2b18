"""Cut a long transcribed clip at its pauses, so that one recording gives several training utterances.

Word times come from a recogniser (`recipes/starter/transcribe_words.py`) and are only good to about 0.1 s, so a cut is made
in the middle of a quiet stretch that lies between two words, never inside a word.
"""

from __future__ import annotations

import numpy as np

SHORTEST, LONGEST = 1.5, 7.0  # s
PAUSE = 0.12  # s of quiet that counts as a pause
_STEP = 0.01  # s


def quiet_stretches(samples: np.ndarray, rate: int) -> list[tuple[float, float]]:
    """Stretches of at least PAUSE s that are 25 dB or more below the clip's speech level, as (start, end) in s."""
    step = int(rate * _STEP)
    n = len(samples) // step
    power = (samples[: n * step].reshape(n, step).astype(np.float64) ** 2).mean(axis=1)
    level = 10 * np.log10(np.convolve(power, np.ones(3) / 3, mode="same") + 1e-12)
    quiet = level < np.percentile(level, 90) - 25
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(np.int8), [0]])))
    spans = [(a * _STEP, b * _STEP) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [(a, b) for a, b in spans if b - a >= PAUSE]


def cut_at_pauses(samples: np.ndarray, rate: int, words: list[dict]) -> list[tuple[float, float, str]]:
    """Pieces (start s, end s, text) of a clip, each SHORTEST..LONGEST s, cut in pauses between words.

    `words`: dicts with word, start, end (s) and p (the recogniser's confidence). Pieces whose mean confidence is under
    0.6, or whose words run faster than 25 letters a second or slower than 5, do not align and are dropped.
    """
    total = len(samples) / rate
    begin = 0.0
    stretches = [(a, b) for a, b in quiet_stretches(samples, rate) if a > 0.3 and b < total - 0.3]
    centres = [((a + b) / 2) for a, b in stretches]
    # A pause is usable when it separates two words: one ends and the next starts around its middle.
    usable = []
    for centre, (a, b) in zip(centres, stretches, strict=True):
        before = [w for w in words if (w["start"] + w["end"]) / 2 < centre]
        after = [w for w in words if (w["start"] + w["end"]) / 2 >= centre]
        if before and after and before[-1]["end"] < b + 0.15 and after[0]["start"] > a - 0.15:
            usable.append((centre, b - a, len(before)))
    start_word = 0
    index = 0
    pieces: list[tuple[float, float, str]] = []
    while True:
        options = [u for u in usable[index:] if SHORTEST <= u[0] - begin <= LONGEST]
        if total - begin <= LONGEST or not options:
            end, stop_word, index = total, len(words), len(usable)
        else:
            end, _, stop_word = max(options, key=lambda u: u[1])  # the longest pause in reach
            index = next(i for i, u in enumerate(usable) if u[0] == end) + 1
        chosen = words[start_word:stop_word]
        text = " ".join(w["word"] for w in chosen)
        letters = sum(c.isalpha() for c in text)
        spoken = (chosen[-1]["end"] - chosen[0]["start"]) if chosen else 0.0
        if (
            chosen and SHORTEST <= end - begin <= 1.6 * LONGEST and spoken > 0.5
            and np.mean([w["p"] for w in chosen]) >= 0.6 and 5 <= letters / spoken <= 25
        ):
            pieces.append((begin, end, text))
        begin, start_word = end, stop_word
        if end >= total:
            return pieces
