"""Proximal gradient descent. Plain: stable for rate < 2 / lambda_max(H) whatever sigma^2 (algorithms.md 1.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.base import Stepping
from tts_meta.meta.tree import Tree


@dataclass(frozen=True)
class ProximalGD(Stepping):
    """d <- (d - rate c g) / (1 + rate w); see solvers/base.py. The proximal operator is applied at every step."""

    rate: float
    whiten: bool = False

    def init(self, theta: Tree) -> dict[str, Any]:
        return {}

    def step(self, theta: Tree, grad: Tree, phi: Tree, prior: Shrinkage, state: dict[str, Any]) -> Tree:
        if prior.flat and not self.whiten:  # MAML and Reptile: one fused call for all parameters
            moved = torch._foreach_add(list(theta.values()), [grad[k] for k in theta], alpha=-self.rate)
            return dict(zip(theta, moved, strict=True))
        out = {}
        for name, t in theta.items():
            rate = self.rate * prior.rate(name)
            if self.whiten:
                d = t - phi[name] - rate * prior.variance(name) * grad[name]
                out[name] = phi[name] + d / (1 + rate)
            else:
                out[name] = prior.proximal(name, t - rate * grad[name], phi[name], rate)
        return out


@dataclass(frozen=True)
class ExplicitGD(Stepping):
    """theta <- theta - rate (g + (theta - phi) / sigma^2): the paper's inner step (algorithms.md 1.3).

    Needs rate < 2 / (lambda_max(H) + 1 / min sigma^2); the proximal step above has no such limit.
    """

    rate: float

    def init(self, theta: Tree) -> dict[str, Any]:
        return {}

    def step(self, theta: Tree, grad: Tree, phi: Tree, prior: Shrinkage, state: dict[str, Any]) -> Tree:
        return {
            k: t - self.rate * prior.rate(k) * (grad[k] + prior.precision(k) * (t - phi[k])) for k, t in theta.items()
        }
