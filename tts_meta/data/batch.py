"""Utterances -> the tensors the acoustic model takes: normalised, padded, aligned.

Pitch is a continuous contour (log F0, linear through unvoiced stretches). What the model predicts and a user controls
is its mean over each phone; what the decoder sees is F0 at every frame, as the pattern its harmonics draw on the mel
bands: measured in training, the line through the phones' predicted means in synthesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from monotonic_alignment_search import maximum_path
from torch import Tensor

from tts_meta.audio.mel import band_frequencies, frame_energy
from tts_meta.nets.aligner import STATES, Aligner, alignment_features, quiet_frames


@dataclass(frozen=True)
class Normaliser:
    """Means and deviations of the training corpus: of each mel band (nats), log F0 (nats) and frame energy (nats)."""

    mel_mean: tuple[float, ...]
    mel_std: tuple[float, ...]
    pitch_mean: float
    pitch_std: float
    energy_mean: float
    energy_std: float

    @staticmethod
    def fit(mels: Sequence[np.ndarray], f0s: Sequence[np.ndarray]) -> Normaliser:
        mel = np.concatenate(mels).astype(np.float64)
        f0 = np.concatenate(f0s).astype(np.float64)
        log_f0 = np.log(f0[f0 > 0])
        energy = frame_energy(mel)
        return Normaliser(
            tuple(mel.mean(0).tolist()), tuple(mel.std(0).tolist()), float(log_f0.mean()), float(log_f0.std()),
            float(energy.mean()), float(energy.std()),
        )

    def mel(self, mel: np.ndarray) -> np.ndarray:
        return ((mel - np.asarray(self.mel_mean)) / np.asarray(self.mel_std)).astype(np.float32)

    def mel_inverse(self, mel: np.ndarray) -> np.ndarray:
        return (mel * np.asarray(self.mel_std) + np.asarray(self.mel_mean)).astype(np.float32)

    def energy(self, mel: np.ndarray) -> np.ndarray:
        """Normalised frame energy `[L]` of an un-normalised log-mel `[L, 80]`."""
        return ((frame_energy(mel) - self.energy_mean) / self.energy_std).astype(np.float32)

    def contour(self, f0: np.ndarray) -> np.ndarray:
        """Normalised continuous log F0 `[L]` from F0 `[L]` (Hz, 0 = unvoiced); all zero when nothing is voiced."""
        voiced = f0 > 0
        if not voiced.any():
            return np.zeros(len(f0), dtype=np.float32)
        at = np.arange(len(f0))
        line = np.interp(at, at[voiced], np.log(f0[voiced]))
        return ((line - self.pitch_mean) / self.pitch_std).astype(np.float32)

    def hertz(self, contour):
        """F0 (Hz) of a normalised contour, an array or a tensor."""
        return np.e ** (contour * self.pitch_std + self.pitch_mean)

    def to_dict(self) -> dict:
        return asdict(self)

    @staticmethod
    def from_dict(d: dict) -> Normaliser:
        return Normaliser(**{**d, "mel_mean": tuple(d["mel_mean"]), "mel_std": tuple(d["mel_std"])})


@dataclass(frozen=True)
class Item:
    """One utterance, normalised: what a batch is made of."""

    phones: list[int]
    stress: list[int]
    mel: np.ndarray  # [L, 80]
    contour: np.ndarray  # [L] normalised log F0
    f0: np.ndarray  # [L] Hz, the same contour
    energy: np.ndarray  # [L] normalised
    energy_nats: np.ndarray  # [L] as it is
    speaker: int = 0
    durations: np.ndarray | None = None  # [P] frames, once aligned


def make_item(
    phones: list[int], stress: list[int], mel: np.ndarray, f0: np.ndarray, norm: Normaliser, speaker: int = 0
) -> Item:
    """Normalise one utterance: mel `[L, 80]` (nats), F0 `[L]` (Hz)."""
    contour = norm.contour(f0)
    return Item(phones, stress, norm.mel(mel), contour, norm.hertz(contour), norm.energy(mel), frame_energy(mel), speaker)


def _pad(rows: Sequence[np.ndarray], length: int, dtype) -> Tensor:
    out = np.zeros((len(rows), length, *np.shape(rows[0])[1:]), dtype=dtype)
    for i, r in enumerate(rows):
        out[i, : len(r)] = r
    return torch.from_numpy(out)


def collate(items: Sequence[Item], multiple: int = 2) -> dict[str, Tensor]:
    """Pad to phones, stress, phone_mask `[B, P]`, mel `[B, L, 80]`, contour, f0, frame_level, frame_mask `[B, L]`.

    L is a multiple of `multiple` (the decoder's reduction). Items that are all aligned also give the batch durations,
    phone pitch and energy, and the decoder's frame features (`with_durations`).
    """
    p = max(len(i.phones) for i in items)
    frames = max(len(i.mel) for i in items)
    frames += -frames % multiple
    batch = {
        "phones": _pad([np.array(i.phones) for i in items], p, np.int64),
        "stress": _pad([np.array(i.stress) for i in items], p, np.int64),
        "phone_mask": _pad([np.ones(len(i.phones)) for i in items], p, np.float32),
        "mel": _pad([i.mel for i in items], frames, np.float32),
        "contour": _pad([i.contour for i in items], frames, np.float32),
        "f0": _pad([i.f0 for i in items], frames, np.float32),
        "frame_level": _pad([i.energy for i in items], frames, np.float32),
        "energy_nats": _pad([i.energy_nats for i in items], frames, np.float32),
        "frame_mask": _pad([np.ones(len(i.mel)) for i in items], frames, np.float32),
        "speaker": torch.tensor([i.speaker for i in items]),
    }
    aligned = [i.durations for i in items if i.durations is not None]
    if len(aligned) == len(items):
        return with_durations(batch, _pad(aligned, p, np.float32))
    return batch


@torch.no_grad()
def align(aligner: Aligner, batch: dict[str, Tensor]) -> Tensor:
    """Durations (frames) `[B, P]` by monotonic alignment search (Kim et al. 2020, Glow-TTS, algorithm 1).

    Every phone gets at least one frame; an utterance must have at least as many frames as phones.
    """
    mel = centred_mel(batch)
    out = torch.zeros_like(batch["phone_mask"])
    for b in range(len(out)):
        frames, count = int(batch["frame_mask"][b].sum()), int(batch["phone_mask"][b].sum())
        features, quiet = alignment_features(mel[b, :frames]), quiet_frames(batch["energy_nats"][b, :frames])
        out[b, :count] = best_path(aligner, aligner.scores(features, quiet), batch["phones"][b, :count])[0]
    return out


def best_path(aligner: Aligner, scores: Tensor, phones: Tensor) -> tuple[Tensor, Tensor, float]:
    """(frames of each phone `[P]`, state row of each frame `[L]`, mean score a frame) of one utterance.

    scores `[S * STATES, L]` of `Aligner.scores`. Speech too fast for two states a phone is aligned with one.
    """
    rows, owner = aligner.states(phones)
    if len(rows) > scores.shape[1]:
        rows, owner = phones * STATES, torch.arange(len(phones))
    chosen = scores[rows]
    path = maximum_path(chosen.unsqueeze(0).contiguous(), torch.ones(1, *chosen.shape))[0]
    state = path.argmax(0)
    durations = torch.bincount(owner[state], minlength=len(phones)).float()
    return durations, rows[state], float((chosen * path).sum()) / scores.shape[1]


def centred_mel(batch: dict[str, Tensor]) -> Tensor:
    """Mel `[B, L, 80]` minus each utterance's mean over its frames."""
    mask = batch["frame_mask"].unsqueeze(-1)
    mean = (batch["mel"] * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)
    return (batch["mel"] - mean) * mask


def phone_means(values: Tensor, batch: dict[str, Tensor], durations: Tensor) -> Tensor:
    """Mean over each phone's frames of `values` `[B, L]` -> `[B, P]`."""
    index = frame_index(durations, values.shape[1])
    sums = torch.zeros_like(durations).scatter_add_(1, index, values * batch["frame_mask"])
    return sums / durations.clamp(min=1.0) * batch["phone_mask"]


def frame_index(durations: Tensor, frames: int) -> Tensor:
    """The phone each frame belongs to: durations `[B, P]` -> `[B, L]` ids; frames past the end get the last phone."""
    ends = durations.cumsum(1)
    at = torch.arange(frames, dtype=ends.dtype)
    return (at[None, :, None] >= ends[:, None, :]).sum(-1).clamp(max=durations.shape[1] - 1)


def line_through(values: Tensor, durations: Tensor, frames: int) -> Tensor:
    """Phone values `[B, P]` at the phones' centres, linear between them: `[B, L]`."""
    centres = (durations.cumsum(1) - durations / 2).numpy()
    at = np.arange(frames) + 0.5
    out = np.zeros((len(values), frames), dtype=np.float32)
    for b, row in enumerate(values.numpy()):
        spoken = durations[b].numpy() > 0
        out[b] = np.interp(at, centres[b][spoken], row[spoken])
    return torch.from_numpy(out)


def harmonic_pattern(f0: Tensor) -> Tensor:
    """Where the harmonics of F0 `[B, L]` (Hz) fall on the mel bands: `[B, L, 80]`, +1 on a harmonic, -1 between two.

    cos(2 pi f_band / F0), faded out where a band is too wide to tell two harmonics apart. Speaker independent, so a
    new speaker's pitch range, however far from the training speakers', is right from the first step.
    """
    centres, widths = band_frequencies()
    ratio = torch.from_numpy(centres) / f0.clamp(min=30.0).unsqueeze(-1)
    spacing = torch.from_numpy(widths) / f0.clamp(min=30.0).unsqueeze(-1)
    return torch.cos(2 * torch.pi * ratio) * torch.exp(-2 * spacing**2)


def frame_features(f0: Tensor, durations: Tensor) -> Tensor:
    """The decoder's frame features `[B, L, 85]` from F0 `[B, L]` (Hz) and durations `[B, P]` (frames)."""
    frames = f0.shape[1]
    index = frame_index(durations, frames)
    ends = durations.cumsum(1)
    start = (ends - durations).gather(1, index)
    length = durations.gather(1, index).clamp(min=1.0)
    since = (torch.arange(frames, dtype=durations.dtype) + 0.5) - start
    since = since.clamp(min=0.0).minimum(length)
    scalars = [
        (f0.clamp(min=30.0).log() - 5.0) / 0.4, since / length, since.clamp(max=20) / 20,
        (length - since).clamp(max=20) / 20, length.log() / 3,
    ]
    return torch.cat([torch.stack(scalars, dim=-1), harmonic_pattern(f0)], dim=-1)


def with_durations(batch: dict[str, Tensor], durations: Tensor) -> dict[str, Tensor]:
    """The batch with durations, phone pitch and energy, and the decoder's frame features."""
    pitch = phone_means(batch["contour"], batch, durations)
    energy = phone_means(batch["frame_level"], batch, durations)
    frames = batch["mel"].shape[1]
    mask = batch["frame_mask"]
    return {
        **batch, "durations": durations, "pitch": pitch, "energy": energy,
        "frame_phone": frame_index(durations, frames),
        "frame_features": frame_features(batch["f0"], durations) * mask.unsqueeze(-1),
    }
