"""Proximal Adam: only the data gradient goes through Adam's moments, then the prior's proximal operator is applied
with Adam's effective step of each coordinate (algorithms.md 1.6; Kingma & Ba 2015 for the moments).

Its stationary points are those of the penalised loss: m = g and d = d - r (c g) then / (1 + r w) is at rest exactly
when c g + w d = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.base import Stepping
from tts_meta.meta.tree import Tree

TINY = 1e-30


@dataclass(frozen=True)
class ProximalAdam(Stepping):
    """`rate` in units of theta, or of sigma when `whiten`; `decay` lowers it as rate / (1 + decay k)."""

    rate: float
    beta1: float = 0.9
    beta2: float = 0.99
    eps: float = 1e-8
    whiten: bool = True
    decay: float = 0.0

    def init(self, theta: Tree) -> dict[str, Any]:
        return {
            "count": 0,
            "m": {k: torch.zeros_like(v) for k, v in theta.items()},
            "v": {k: torch.zeros_like(v) for k, v in theta.items()},
        }

    def step(self, theta: Tree, grad: Tree, phi: Tree, prior: Shrinkage, state: dict[str, Any]) -> Tree:
        k = state["count"] + 1
        base = self.rate / (1 + self.decay * (k - 1))
        out, first, second = {}, {}, {}
        for name, t in theta.items():
            rate = base * prior.rate(name)
            sigma = prior.sigma(name) if self.whiten else 1.0
            g = grad[name] * sigma
            m = first[name] = self.beta1 * state["m"][name] + (1 - self.beta1) * g
            v = second[name] = self.beta2 * state["v"][name] + (1 - self.beta2) * g * g
            scale = v / (1 - self.beta2**k)
            if torch.is_grad_enabled():  # the square root has no derivative at 0, where a gradient vanishes
                scale = scale.clamp(min=TINY)
            effective = rate / (scale.sqrt() + self.eps)
            moved = m / (1 - self.beta1**k) * effective
            if self.whiten:
                out[name] = phi[name] + (t - phi[name] - sigma * moved) / (1 + effective)
            else:
                out[name] = prior.proximal(name, t - moved, phi[name], effective)
        state.update(count=k, m=first, v=second)
        return out
