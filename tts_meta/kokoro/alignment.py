"""Where every symbol of a recording begins and ends: Gaussian states and a monotonic path, on Kokoro's symbols.

The states' Gaussians start from Kokoro's own speech, whose durations are known, so that boundaries lie where the network
puts its own; Viterbi rounds over people then bring them to recordings. A stress mark and the mark of length have no
sound: each shares its vowel's frames, in the proportion in which the network shares them.

Recordings pause where their text has no mark, and a pause that no symbol stands for would be learned as part of a word:
it gets a comma.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tts_meta.audio.mel import HOP, SAMPLE_RATE, frame_energy
from tts_meta.data.batch import best_path
from tts_meta.kokoro.symbols import SILENCE, SYMBOLS
from tts_meta.nets.aligner import CEPSTRA, STATES, Aligner, alignment_features, quiet_frames
from tts_meta.nets.kokoro.text import SYMBOLS as COUNT

TOKEN_RATE = 40.0
"""Token frames a second."""
PAUSE_SECONDS = 0.16
"""A silence between two words from which it is a pause."""
SPACE, COMMA = SYMBOLS[" "], SYMBOLS[","]
STRESS = frozenset(SYMBOLS[c] for c in "ˈˌ")
LENGTH = SYMBOLS["ː"]
SILENT = frozenset({SILENCE, *(SYMBOLS[c] for c in ',.;:!?—…"()“”')})
SOUNDS_AS = {SYMBOLS["a"]: SYMBOLS["æ"]}
"""Symbols without Gaussians of their own: the vowel of "trap", which British texts write otherwise."""
STRESS_SHARE, LENGTH_SHARE = 0.5, 0.38
"""Of a stressed vowel's frames, the mark's; of a long vowel's, the length mark's: means over Kokoro's own speech."""


@dataclass(frozen=True)
class Alignment:
    """`ids` `[P]` with pauses put in, and the token frames (25 ms) of each, `[P]`; `score` is nats a mel frame."""

    ids: list[int]
    frames: np.ndarray
    score: float


def units(ids: Sequence[int]) -> list[tuple[int, int, int]]:
    """(sounding symbol, first token, one past the last token) of every unit: marks of stress and length join a vowel."""
    found: list[tuple[int, int, int]] = []
    start = 0
    for i, symbol in enumerate(ids):
        if symbol in STRESS:
            continue
        if symbol == LENGTH and found:
            found[-1] = (found[-1][0], found[-1][1], i + 1)
        else:
            found.append((symbol, start, i + 1))
        start = i + 1
    return found


def share_out(ids: Sequence[int], first: int, last: int) -> np.ndarray:
    """Shares (sum 1) of a unit's tokens in its duration."""
    weights = []
    for symbol in ids[first:last]:
        weights.append(STRESS_SHARE if symbol in STRESS else LENGTH_SHARE if symbol == LENGTH else 0.0)
    rest = 1 - sum(weights)
    return np.array([rest if w == 0 else w for w in weights])


class TokenAligner:
    """`net` holds the Gaussians; `mean`, `std` `[80]` normalise the log-mel."""

    def __init__(self, net: Aligner, mean: np.ndarray, std: np.ndarray) -> None:
        self.net, self.mean, self.std = net, mean.astype(np.float32), std.astype(np.float32)

    @staticmethod
    def empty(mean: np.ndarray, std: np.ndarray) -> TokenAligner:
        net = Aligner(COUNT)
        net.silence[list(SILENT)] = 1.0
        return TokenAligner(net, mean, std)

    def features(self, mel: np.ndarray) -> tuple[Tensor, Tensor]:
        """Log-mel `[L, 80]` (nats) -> cepstral features `[L, 32]` and which frames are quiet `[L]`."""
        normal = torch.from_numpy((mel.astype(np.float32) - self.mean) / self.std)
        return alignment_features(normal - normal.mean(0)), quiet_frames(torch.from_numpy(frame_energy(mel.astype(np.float32))))

    def scores(self, features: Tensor, quiet: Tensor) -> Tensor:
        """`[S * STATES, L]`; between words a silence may stand for the space."""
        scores = self.net.scores(features, quiet)
        rows = slice(SPACE * STATES, SPACE * STATES + STATES)
        scores[rows] = torch.maximum(scores[rows], scores[SILENCE * STATES])
        return scores

    def path(self, ids: Sequence[int], scores: Tensor) -> tuple[np.ndarray, Tensor, float]:
        """(mel frames of every unit, state of every frame, nats a frame)."""
        symbols = torch.tensor([SOUNDS_AS.get(u[0], u[0]) for u in units(ids)])
        durations, states, score = best_path(self.net, scores, symbols)
        return durations.numpy(), states, score

    @torch.no_grad()
    def align(self, ids: Sequence[int], mel: np.ndarray, pauses: bool = True) -> Alignment:
        """Align token `ids` (silence at both ends) with a log-mel `[L, 80]` (nats).

        Raises ValueError when the recording has fewer frames than the text has sounds.
        """
        features, quiet = self.features(mel)
        scores = self.scores(features, quiet)
        if len(units(ids)) > len(mel):
            raise ValueError(f"{len(units(ids))} sounds do not fit into {len(mel)} mel frames")
        durations, states, score = self.path(ids, scores)
        if pauses:
            longer = with_pauses(ids, durations, quiet.numpy())
            if longer != list(ids):
                ids = longer
                durations, states, score = self.path(ids, scores)
        return Alignment(list(ids), token_frames(ids, durations), score)

    # --- estimation -----------------------------------------------------------------------------------------------

    def estimate(self, data: Sequence[tuple[Tensor, Tensor]], prior: TokenAligner | None = None, weight: float = 50.0) -> None:
        """Means and variances from (features `[L, 32]`, states `[L]`) of many utterances.

        Every state begins from `weight` frames of `prior`'s Gaussian, or of all frames' when there is none.
        """
        features, state = torch.cat([f for f, _ in data]), torch.cat([s for _, s in data])
        silent = self.net.silence.repeat_interleave(STATES)[state] > 0
        state = torch.where(silent, torch.full_like(state, SILENCE * STATES), state)
        rows = COUNT * STATES
        if prior is None:
            mean0 = features.mean(0).expand(rows, -1)
            variance0 = features.var(0).expand(rows, -1)
        else:
            mean0, variance0 = prior.net.mean.flatten(0, 1), prior.net.variance.flatten(0, 1)
        count = torch.bincount(state, minlength=rows).unsqueeze(1) + weight
        mean = (torch.zeros(rows, 2 * CEPSTRA).index_add_(0, state, features) + weight * mean0) / count
        square = torch.zeros(rows, 2 * CEPSTRA).index_add_(0, state, (features - mean[state]) ** 2)
        variance = (square + weight * (variance0 + (mean0 - mean) ** 2)) / count
        self.net.mean.copy_(mean.view_as(self.net.mean))
        self.net.variance.copy_(variance.view_as(self.net.variance))
        for table in (self.net.mean, self.net.variance):
            table[list(SILENT)] = table[SILENCE, 0].clone()

    def known_states(self, ids: Sequence[int], frames: np.ndarray, length: int) -> Tensor:
        """The state of every mel frame `[length]` of an utterance whose token frames are known."""
        ends = np.cumsum(frames) / TOKEN_RATE
        states = np.zeros(length, dtype=np.int64)
        at = (np.arange(length) + 0.5) * HOP / SAMPLE_RATE
        for symbol, first, last in units(ids):
            start, end = (ends[first - 1] if first else 0.0), ends[last - 1]
            inside = (at >= start) & (at < end)
            half = 0 if symbol in SILENT else (at[inside] - start) >= (end - start) / 2
            states[inside] = symbol * STATES + half
        states[at >= ends[-1]] = SILENCE * STATES
        return torch.from_numpy(states)


def with_pauses(ids: Sequence[int], durations: np.ndarray, quiet: np.ndarray) -> list[int]:
    """`ids` with a comma before every space in which the speaker is silent for PAUSE_SECONDS."""
    out: list[int] = []
    ends = np.cumsum(durations).astype(int)
    for k, (symbol, first, last) in enumerate(units(ids)):
        start = ends[k - 1] if k else 0
        silence = quiet[start : ends[k]].sum() * HOP / SAMPLE_RATE
        if symbol == SPACE and silence >= PAUSE_SECONDS and out and out[-1] not in SILENT:
            out.append(COMMA)
        out.extend(ids[first:last])
    return out


def settle_silence(ids: Sequence[int], ends: np.ndarray) -> np.ndarray:
    """Ends of the units (token frames) with every silence where the network has its own: in the mark before a space or
    before the end, of which the space keeps two frames and the end one."""
    ends = ends.copy()
    rows = units(ids)
    for k in range(1, len(rows)):
        if rows[k - 1][0] in SILENT and k > 1 and (rows[k][0] == SPACE or k == len(rows) - 1):
            keep = 2.0 if rows[k][0] == SPACE else 1.0
            ends[k - 1] = max(ends[k - 2] + 1, ends[k] - keep)
    return ends


def token_frames(ids: Sequence[int], durations: np.ndarray) -> np.ndarray:
    """Token frames (25 ms) `[P]` from the mel frames of every unit; each token has at least one where there is room."""
    ends = np.cumsum(durations) * HOP / SAMPLE_RATE * TOKEN_RATE
    total = int(round(ends[-1]))
    ends = settle_silence(ids, ends)
    borders: list[float] = []
    for k, (_, first, last) in enumerate(units(ids)):
        start = ends[k - 1] if k else 0.0
        borders.extend(start + np.cumsum(share_out(ids, first, last)) * (ends[k] - start))
    edge = np.round(np.array(borders)).astype(int)
    edge[-1] = total
    if total >= len(edge):
        for i in range(1, len(edge)):
            edge[i] = max(edge[i], edge[i - 1] + 1)
        edge[0] = max(edge[0], 1)
        for i in range(len(edge)):
            edge[i] = min(max(edge[i], i + 1), total - (len(edge) - 1 - i))
        for i in range(len(edge) - 2, -1, -1):
            edge[i] = min(edge[i], edge[i + 1] - 1)
    return np.diff(edge, prepend=0)
