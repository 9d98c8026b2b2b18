"""Diagonal Gaussians and Gammas, with all constants. Trees `{name: [T, ...]}` -> `[T]`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tts_meta.meta.tree import Tree


def kl_diagonal(mean_q: Tree, log_sd_q: Tree, mean_p: Tree, log_sd_p: Tree) -> Tensor:
    """KL(q | p) = 1/2 sum [log(sp^2 / sq^2) + (sq^2 + (mq - mp)^2) / sp^2 - 1] of each task, nats."""
    parts = []
    for k in mean_q:
        ratio = 2 * (log_sd_q[k] - log_sd_p[k])
        shift = (mean_q[k] - mean_p[k]) ** 2 * (-2 * log_sd_p[k]).exp()
        parts.append(0.5 * (ratio.exp() + shift - 1 - ratio).flatten(1).sum(1))
    return torch.stack(parts).sum(0)


def gamma_log_density(x: Tensor, a: float, b: float) -> Tensor:
    """log Gamma(x | a, rate b), elementwise."""
    return a * math.log(b) - math.lgamma(a) + (a - 1) * x.log() - b * x
