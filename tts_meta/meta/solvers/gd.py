"""Proximal gradient descent (Parikh & Boyd 2014, section 4.2). Plain: stable for rate < 2 / lambda_max(H) whatever
sigma^2."""

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

    def step(self, theta: Tree, grad: Tree, phi: Tree, prior: Shrinkage, state: dict[str, Any]) -> Tree:
        # Fused calls for all parameters: with dozens of small tensors the calls cost more than the arithmetic.
        names, at = list(theta), list(theta.values())
        g = [grad[n] for n in names]
        if prior.flat and not self.whiten:
            return dict(zip(names, torch._foreach_add(at, g, alpha=-self.rate), strict=True))
        rates = [self.rate * prior.rate(n) for n in names]
        c = [prior.variance(n) if self.whiten else 1.0 for n in names]
        w = [1.0 if self.whiten else prior.precision(n) for n in names]
        step = [torch.as_tensor(-r * x, device=t.device, dtype=t.dtype) for r, x, t in zip(rates, c, at, strict=True)]
        shrink = [torch.as_tensor(1 / (1 + r * x), device=t.device, dtype=t.dtype) for r, x, t in zip(rates, w, at, strict=True)]
        # phi + shrink (theta + step g - phi), in two passes
        moved = [torch.addcmul(t, x, s) for t, x, s in zip(at, g, step, strict=True)]
        out = [torch.lerp(phi[n], t, s) for n, t, s in zip(names, moved, shrink, strict=True)]
        return dict(zip(names, out, strict=True))


@dataclass(frozen=True)
class ExplicitGD(Stepping):
    """theta <- theta - rate (g + (theta - phi) / sigma^2): the inner step of Chen et al. 2020, eq. 6.

    Needs rate < 2 / (lambda_max(H) + 1 / min sigma^2); the proximal step above has no such limit.
    """

    rate: float

    def step(self, theta: Tree, grad: Tree, phi: Tree, prior: Shrinkage, state: dict[str, Any]) -> Tree:
        return {
            k: t - self.rate * prior.rate(k) * (grad[k] + prior.precision(k) * (t - phi[k])) for k, t in theta.items()
        }
