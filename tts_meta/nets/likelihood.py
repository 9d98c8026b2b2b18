"""The likelihood of an utterance under the acoustic model: Laplace with stated scales, summed; or a smooth one.

The Laplace density has no curvature (its second derivative is 0 but at the kink), so a Hessian of it holds only the
network's own curvature, which has no sign: implicit gradients need the smooth one, the hyperbolic density
exp(-sqrt(d^2 + e^2) / b) (Barndorff-Nielsen 1977), which is quadratic within d of 0 and Laplace beyond.

sigma_m is identified only relative to the likelihood's scale (assuming f times the noise variance of a linear-Gaussian
task shifts every log sigma^2 by log f: tests/meta/test_recovery.py), so the scales below are part of the model: they are
constants of the starter, not weights of a loss. They are close to the mean absolute errors of the trained model on
unseen speakers, in the normalised units of `tts_meta.data.batch.Normaliser`.
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
    smooth: float = 0.0  # d / b of the hyperbolic density; 0: Laplace


def _energy(error: Tensor, scale: float, mask: Tensor, smooth: float) -> Tensor:
    if smooth == 0:
        return ((error.abs() / scale + math.log(2 * scale)) * mask).sum()
    # K_1 is the modified Bessel function that makes it integrate to one; x K_1(x) -> 1, Laplace's constant, as x -> 0.
    constant = math.log(2 * scale * smooth * float(torch.special.modified_bessel_k1(torch.tensor(smooth).double())))
    return (((error / scale).square() + smooth**2).sqrt() * mask + constant * mask).sum()


def negative_log_likelihood(
    out: dict[str, Tensor], batch: dict[str, Tensor], scales: Scales
) -> dict[str, Tensor]:
    """-log p of mel, durations, pitch and energy of a batch (nats), each summed over everything it covers.

    `batch`: mel `[B, L, 80]`, frame_mask `[B, L]`, durations `[B, P]` (frames), pitch, energy `[B, P]`, phone_mask `[B, P]`.
    """
    mask, d = batch["phone_mask"], scales.smooth
    log_duration = torch.log(batch["durations"].clamp(min=1.0))
    return {
        "mel": _energy(out["mel"] - batch["mel"], scales.mel, batch["frame_mask"].unsqueeze(-1), d),
        "duration": _energy(out["log_duration"] - log_duration, scales.duration, mask, d),
        "pitch": _energy(out["pitch"] - batch["pitch"], scales.pitch, mask, d),
        "energy": _energy(out["energy"] - batch["energy"], scales.energy, mask, d),
    }


def utterance_loss(scales: Scales) -> Callable[[dict[str, Tensor], dict[str, Tensor]], Tensor]:
    """The criterion of adaptation: total negative log-likelihood of a batch (nats), times its `weight` `[]`."""

    def criterion(out: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
        parts = negative_log_likelihood({k: v.float() for k, v in out.items()}, batch, scales)
        return sum(parts.values(), torch.zeros(())) * batch["weight"]

    return criterion
