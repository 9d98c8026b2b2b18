"""How likely a recording is under the network: Laplace on the mel, its spread, durations, F0 and energy, summed.

A mean of absolute errors alone is least where the mel is smooth, and smooth speech buzzes. The spread term compares how
much the cepstra, and their changes from frame to frame, vary within windows of 0.4 and 1.1 s with how much they vary in the
recording; it is blind to where they vary, which the first term sees to.

Every term is a mean over what it compares, times the numbers of the mel that are compared: so the whole is in nats, and the
weight of the data against the prior grows with the seconds of the clips.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tts_meta.nets.cepstra import cepstral_basis
from tts_meta.nets.kokoro.head import VOICED

WINDOWS = (32, 96)
CEPSTRA = 40
FLOOR = 0.02
"""Variance under which spread is not compared."""


@dataclass(frozen=True)
class KokoroScales:
    """`mel` is the Laplace scale (nats of log-mel); the others weigh their terms against it."""

    mel: float = 0.5
    spread: float = 0.3
    duration: float = 0.2
    pitch: float = 0.5
    voicing: float = 0.1
    energy: float = 0.05

    def to_dict(self) -> dict:
        return asdict(self)


def window_variance(x: Tensor, width: int) -> Tensor:
    """Variance over windows of `width` frames, half over each other: `[B, C, L]` -> `[B, C, W]`."""
    step = width // 2
    return (F.avg_pool1d(x * x, width, step) - F.avg_pool1d(x, width, step) ** 2).clamp(min=0.0)


def spread_difference(predicted: Tensor, recorded: Tensor, mask: Tensor) -> Tensor:
    """Mean |log ratio| of window variances of cepstra and of their changes: `[B, L, 80]` twice, mask `[B, L]` -> `[B]`.

    A clip shorter than a window is compared in the shorter windows only.
    """
    rows = cepstral_basis(predicted.shape[-1], CEPSTRA + 1, torch.float32)[1:].to(predicted)  # without the level
    a, b = ((rows @ m.transpose(1, 2)) for m in (predicted, recorded))
    total = predicted.new_zeros(len(predicted))
    for x, y, m in ((a, b, mask), (a.diff(dim=-1), b.diff(dim=-1), mask[:, 1:])):
        for width in WINDOWS:
            if x.shape[-1] < width:
                continue
            inside = (F.avg_pool1d(m.unsqueeze(1), width, width // 2) > 0.999).to(x.dtype)
            ratio = torch.log(window_variance(x, width) + FLOOR) - torch.log(window_variance(y, width) + FLOOR)
            total = total + (ratio.abs().mean(1, keepdim=True) * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1) / 4
    return total


def mel_terms(predicted: Tensor, recorded: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(mean absolute difference, spread difference) of log-mels `[B, L, 80]` on mask `[B, L]`, each `[B]`."""
    m = mask.unsqueeze(-1)
    absolute = ((predicted - recorded).abs() * m).sum((1, 2)) / (m.sum((1, 2)) * predicted.shape[-1]).clamp(min=1)
    return absolute, spread_difference(predicted, recorded, mask)


def prosody_terms(
    durations: Tensor, f0: Tensor, energy: Tensor, batch: dict[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(duration, pitch, voicing, energy) differences, each `[B]`.

    durations `[B, P]` against counts (log frames), where a token has frames and is not one of the two ends; f0 `[B, N]`
    (log Hz where the recording is voiced, Hz / 100 where it is not), energy `[B, N]` (nats).
    """
    counts = batch["counts"]
    inner = (counts > 0) * batch["inner_mask"]
    log = (durations.clamp(min=0.3).log() - counts.clamp(min=1).log()).abs() * inner
    curve = batch["mask"].repeat_interleave(2, -1)
    voiced = (batch["f0"] > VOICED).to(f0.dtype) * curve
    pitch = (f0.clamp(min=VOICED).log() - batch["f0"].clamp(min=VOICED).log()).abs() * voiced
    silent = (f0.clamp(-100, 400).abs() / 100) * (curve - voiced)
    level = (energy - batch["energy"]).abs() * curve
    return (
        log.sum(1) / inner.sum(1).clamp(min=1), pitch.sum(1) / voiced.sum(1).clamp(min=1),
        silent.sum(1) / curve.sum(1).clamp(min=1), level.sum(1) / curve.sum(1).clamp(min=1),
    )
