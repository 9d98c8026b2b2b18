"""A clip as the Kokoro network sees it: tokens and how long each lasts, F0 and energy 80 times a second, the log-mel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tts_meta.audio.files import resample
from tts_meta.audio.mel import HOP, SAMPLE_RATE, triangles
from tts_meta.kokoro.alignment import TOKEN_RATE, TokenAligner

FEATURE_RATE = 80.0
ENERGY_OFFSET = 0.39
"""Nats by which the network draws energy higher than its own speech measures (mean over loud frames of its 28 voices)."""


@dataclass(frozen=True)
class KokoroItem:
    """One aligned utterance: ids and counts (25 ms frames) `[P]`, f0 (Hz, 0 unvoiced) and energy (nats) `[2 T]`,
    mel `[L, 80]` (nats)."""

    ids: np.ndarray
    counts: np.ndarray
    f0: np.ndarray
    energy: np.ndarray
    mel: np.ndarray

    @property
    def seconds(self) -> float:
        return float(self.counts.sum()) / TOKEN_RATE


@dataclass(frozen=True)
class Encoded:
    """What parts of the network that do not move make of a clip: the text front for the prosody and for the sound, each
    `[P, 512]`, and the acoustic blocks' features `[2 T, 512]` or None."""

    text: Tensor
    sound: Tensor
    features: Tensor | None = None


@lru_cache(maxsize=1)
def _energy_basis() -> tuple[Tensor, Tensor]:
    mels = np.linspace(0.0, np.log1p(8000 / 700), 82)  # HTK's scale
    return torch.from_numpy(triangles(700 * np.expm1(mels), 16000, 2048, even=False)), torch.hann_window(1200)


def frame_energy(samples: np.ndarray, rate: int) -> np.ndarray:
    """StyleTTS 2's energy of `[N]` samples, 80 values a second (nats): log of the norm of the mel power spectrum.

    At 24 kHz, hop 300, window 1200 in 2048; its filter bank was made for 16 kHz and laid over the bins as they are.
    """
    bands, window = _energy_basis()
    y = torch.from_numpy(resample(samples, rate, 24000).astype(np.float32))
    power = torch.stft(y, 2048, 300, 1200, window, center=True, return_complex=True).abs() ** 2
    return ((1e-5 + bands @ power).norm(dim=0).log() + ENERGY_OFFSET).numpy()


def curve_at_features(f0: np.ndarray, count: int) -> np.ndarray:
    """F0 of the mel frames `[L]` (Hz, 0 unvoiced) at `count` feature frames; log-linear inside voiced stretches."""
    voiced = np.flatnonzero(f0 > 0)
    if len(voiced) < 2:
        return np.zeros(count, dtype=np.float32)
    at = (np.arange(count) + 0.5) / FEATURE_RATE * SAMPLE_RATE / HOP - 0.5
    inside = f0[np.clip(np.round(at).astype(int), 0, len(f0) - 1)] > 0
    return np.where(inside, np.exp(np.interp(at, voiced, np.log(f0[voiced]))), 0.0).astype(np.float32)


def make_item(ids: Sequence[int], mel: np.ndarray, f0: np.ndarray, samples: np.ndarray, aligner: TokenAligner) -> KokoroItem:
    """Align token `ids` with a clip: mel `[L, 80]` (nats) and f0 `[L]` (Hz) of `samples` `[N]` at 22.05 kHz.

    Raises ValueError when the clip is too short for its tokens.
    """
    found = aligner.align(list(ids), mel)
    frames = int(found.frames.sum())
    energy = frame_energy(samples, SAMPLE_RATE)[: 2 * frames]
    energy = np.pad(energy, (0, max(0, 2 * frames - len(energy))), mode="edge")
    length = max(1, round(2 * frames / FEATURE_RATE * SAMPLE_RATE / HOP))
    whole = np.pad(mel, ((0, max(0, length - len(mel))), (0, 0)), mode="edge")[:length]
    return KokoroItem(
        np.array(found.ids, dtype=np.int64), found.frames.astype(np.int64), curve_at_features(f0, 2 * frames),
        energy.astype(np.float32), whole.astype(np.float32),
    )


WINDOW_SECONDS = 5.0
"""What of a clip enters a step at most: about a sentence, as long as what the voice will say at once."""
NEAR = 0.2
"""Mel frames (11.6 ms each) by which a window may begin beside a frame of the mel."""


def window(item: KokoroItem, encoded: Encoded, rng: torch.Generator) -> tuple[KokoroItem, Encoded]:
    """At most WINDOW_SECONDS of a clip and of what was made of it, from one token's beginning to another's end.

    It begins where a token frame and a mel frame begin together to within NEAR; a short clip comes back whole.
    """
    most = round(WINDOW_SECONDS * TOKEN_RATE)
    border = np.concatenate([[0], np.cumsum(item.counts)])
    if border[-1] <= 1.2 * most:
        return item, encoded
    at = border * (SAMPLE_RATE / HOP / TOKEN_RATE)  # mel frames
    starts = [i for i in range(len(item.ids)) if border[-1] - border[i] >= most and abs(at[i] - round(at[i])) <= NEAR]
    first = starts[int(torch.randint(len(starts), (1,), generator=rng))]  # token 0 is always one
    last = max(first + 1, int(np.searchsorted(border, border[first] + most, "right")) - 1)
    a, b = int(border[first]), int(border[last])
    frame = round(at[first])
    cut = KokoroItem(
        item.ids[first:last], item.counts[first:last], item.f0[2 * a : 2 * b], item.energy[2 * a : 2 * b],
        item.mel[frame : frame + max(1, round((b - a) * SAMPLE_RATE / HOP / TOKEN_RATE))],
    )
    features = None if encoded.features is None else encoded.features[2 * a : 2 * b]
    return cut, Encoded(encoded.text[first:last], encoded.sound[first:last], features)


def _mask(lengths: Sequence[int]) -> Tensor:
    n = torch.tensor(list(lengths))
    return (torch.arange(int(n.max()))[None] < n[:, None]).float()


def collate(items: Sequence[KokoroItem], encoded: Sequence[Encoded]) -> dict[str, Tensor]:
    """The batch `[B, ...]` of `tts_meta.nets.kokoro.speaker_loss`; `features` in it where all clips have them."""

    def pad(rows: list[Tensor]) -> Tensor:
        return pad_sequence(rows, batch_first=True)

    inner = _mask([len(i.ids) for i in items])
    inner[:, 0] = 0
    for row, item in enumerate(items):
        inner[row, len(item.ids) - 1] = 0
    counts = [torch.from_numpy(i.counts) for i in items]
    features = [e.features for e in encoded if e.features is not None]
    known = {"features": pad(features).transpose(1, 2)} if len(features) == len(encoded) else {}
    return known | {
        "text": pad([e.text for e in encoded]), "sound": pad([e.sound for e in encoded]).transpose(1, 2),
        "token_mask": _mask([len(i.ids) for i in items]), "inner_mask": inner, "counts": pad([c.float() for c in counts]),
        "index": pad([torch.repeat_interleave(torch.arange(len(c)), c) for c in counts]),
        "mask": _mask([int(c.sum()) for c in counts]), "f0": pad([torch.from_numpy(i.f0) for i in items]),
        "energy": pad([torch.from_numpy(i.energy) for i in items]),
        "mel": pad([torch.from_numpy(i.mel) for i in items]), "frame_mask": _mask([len(i.mel) for i in items]),
    }
