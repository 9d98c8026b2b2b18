"""Proximal gradient descent. Plain: stable for rate < 2 / lambda_max(H) whatever sigma^2 (algorithms.md 1.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.tree import Tree


@dataclass(frozen=True)
class ProximalGD:
    """d <- (d - rate c g) / (1 + rate w); see solvers/base.py."""

    rate: float
    whiten: bool = False

    def init(self, theta: Tree) -> dict[str, Any]:
        return {}

    def step(self, theta: Tree, grad: Tree, phi: Tree, prior: Shrinkage, state: dict[str, Any]) -> Tree:
        out = {}
        for name, t in theta.items():
            if self.whiten:
                d = t - phi[name] - self.rate * prior.variance(name) * grad[name]
                out[name] = phi[name] + d / (1 + self.rate)
            else:
                out[name] = prior.proximal(name, t - self.rate * grad[name], phi[name], self.rate)
        return out
