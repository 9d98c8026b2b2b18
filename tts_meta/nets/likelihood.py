"""The likelihood of an utterance under the acoustic model: Laplace with stated scales, summed.

sigma_m is identified only relative to the likelihood's scale (algorithms.md 4, oracle 13), so the scales below are part
of the model: they are constants of the starter, not weights of a loss. They are close to the mean absolute errors of
the trained model on unseen speakers, in the normalised units of `tts_meta.data.batch.Normaliser`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scales:
    """Laplace scale b of each observed quantity (normalised units; log duration in nats)."""

    mel: float = 0.35
    duration: float = 0.25
    pitch: float = 0.35
    energy: float = 0.30


def _laplace(error: Tensor, scale: float, mask: Tensor) -> Tensor:
    return ((error.abs() / scale + math.log(2 * scale)) * mask).sum()


def negative_log_likelihood(
    out: dict[str, Tensor], batch: dict[str, Tensor], scales: Scales
) -> dict[str, Tensor]:
    """-log p of mel, durations, pitch and energy of a batch (nats), each summed over everything it covers.

    `batch`: mel `[B, L, 80]`, frame_mask `[B, L]`, durations `[B, P]` (frames), pitch, energy `[B, P]`, phone_mask `[B, P]`.
    """
    mask = batch["phone_mask"]
    log_duration = torch.log(batch["durations"].clamp(min=1.0))
    return {
        "mel": _laplace(out["mel"] - batch["mel"], scales.mel, batch["frame_mask"].unsqueeze(-1)),
        "duration": _laplace(out["log_duration"] - log_duration, scales.duration, mask),
        "pitch": _laplace(out["pitch"] - batch["pitch"], scales.pitch, mask),
        "energy": _laplace(out["energy"] - batch["energy"], scales.energy, mask),
    }


def utterance_loss(scales: Scales) -> Callable[[dict[str, Tensor], dict[str, Tensor]], Tensor]:
    """The criterion of adaptation: total negative log-likelihood of a batch (nats), times its `weight` `[]`."""

    def criterion(out: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
        parts = negative_log_likelihood({k: v.float() for k, v in out.items()}, batch, scales)
        return sum(parts.values(), torch.zeros(())) * batch["weight"]

    return criterion
