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
        rate = self.rate / (1 + self.decay * (k - 1))
        names = list(theta)
        # One fused call for all parameters: with dozens of small tensors the calls cost more than the arithmetic.
        g: Any = [grad[n] for n in names]
        sigma = [prior.sigma(n) for n in names] if self.whiten else []
        if self.whiten:
            g = torch._foreach_mul(g, sigma)
        m = torch._foreach_add(
            torch._foreach_mul([state["m"][n] for n in names], self.beta1), g, alpha=1 - self.beta1
        )
        v = torch._foreach_addcmul(
            torch._foreach_mul([state["v"][n] for n in names], self.beta2), g, g, value=1 - self.beta2
        )
        scale = torch._foreach_div(v, 1 - self.beta2**k)
        if torch.is_grad_enabled():  # the square root has no derivative at 0, where a gradient vanishes
            scale = torch._foreach_clamp_min(scale, TINY)
        scale = torch._foreach_add(torch._foreach_sqrt(scale), self.eps)
        effective = torch._foreach_mul(torch._foreach_reciprocal(scale), rate)
        if prior.log_rate is not None:
            effective = torch._foreach_mul(effective, [torch.as_tensor(prior.rate(n)) for n in names])
        moved = torch._foreach_div(torch._foreach_mul(m, effective), 1 - self.beta1**k)
        state.update(count=k, m=dict(zip(names, m, strict=True)), v=dict(zip(names, v, strict=True)))
        at, centre = [theta[n] for n in names], [phi[n].expand_as(theta[n]) for n in names]
        if self.whiten:
            moved = torch._foreach_mul(moved, sigma)
            away = torch._foreach_sub(torch._foreach_sub(at, centre), moved)
            out: Any = torch._foreach_add(torch._foreach_div(away, torch._foreach_add(effective, 1.0)), centre)
        else:
            out = torch._foreach_sub(at, moved)
            if not prior.flat:
                out = [prior.proximal(n, x, phi[n], e) for n, x, e in zip(names, out, effective, strict=True)]
        return dict(zip(names, out, strict=True))
