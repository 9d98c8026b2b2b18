"""Proximal Adam: only the data gradient goes through Adam's moments, then the prior's proximal operator is applied
with Adam's effective step of each coordinate (Kingma & Ba 2015 for the moments; Parikh & Boyd 2014, section 4.2, for the
proximal gradient method, here in the diagonal metric of that step).

Its stationary points are those of the penalised loss: m = g and d = d - r (c g) then / (1 + r w) is at rest exactly
when c g + w d = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.base import Stepping
from tts_meta.meta.tree import Tree, flatten, unflatten

TINY = 1e-30


@dataclass(frozen=True)
class ProximalAdam(Stepping):
    """`rate` in units of theta, or of sigma when `whiten`; `decay` lowers it as rate / (1 + decay k).

    `start` `[D + 1]`: second moments of other tasks to go on from, and the weight of all gradients in them (the correction of
    their bias; 0 with moments of 0 is none); what they have become is `moments` of the last state.
    """

    rate: float
    beta1: float = 0.9
    beta2: float = 0.99
    eps: float = 1e-8
    whiten: bool = True
    decay: float = 0.0
    start: Tensor | None = field(default=None, metadata={"setting": False})

    def init(self, theta: Tree) -> dict[str, Any]:
        zero = torch.zeros_like(flatten(theta))
        if self.start is None:
            return {"count": 0, "m": {"flat": zero}, "v": {"flat": zero}}
        return {"count": 0, "m": {"flat": zero}, "v": {"flat": self.start[:-1].expand_as(zero)}, "weight": float(self.start[-1])}

    @staticmethod
    def moments(state: dict[str, Any]) -> Tensor:
        """Each task's second moments and their weight `[T, D + 1]`, from which another may `start`."""
        v = state["v"]["flat"]
        return torch.cat([v, torch.full_like(v[:, :1], state["weight"])], 1)

    def step(self, theta: Tree, grad: Tree, phi: Tree, prior: Shrinkage, state: dict[str, Any]) -> Tree:
        k = state["count"] + 1
        rate = self.rate / (1 + self.decay * (k - 1))
        # All parameters as one vector `[T, D]`: with dozens of small tensors the calls cost more than the arithmetic.
        g, at, centre = flatten({n: grad[n] for n in theta}), flatten(theta), flatten({n: phi[n] for n in theta}, 0)
        sigma = prior.along(theta, "sigma") if self.whiten else None
        g = g if sigma is None else g * sigma
        m = torch.lerp(state["m"]["flat"], g, 1 - self.beta1)
        v = torch.addcmul(self.beta2 * state["v"]["flat"], g, g, value=1 - self.beta2)
        state.update(count=k, m={"flat": m}, v={"flat": v})
        # The bias corrections are in the two constants, not in passes over the vectors.
        weight = 1 - self.beta2**k
        if self.start is not None:
            weight = state["weight"] = 1 - self.beta2 * (1 - state["weight"])
        correction = math.sqrt(weight)
        # The square root has no derivative at 0, where a gradient vanishes.
        root = (v.clamp(min=TINY) if torch.is_grad_enabled() else v).sqrt() + self.eps * correction
        rate, momentum = rate * correction, 1 / (1 - self.beta1**k)
        if prior.flat and not self.whiten:
            return unflatten(torch.addcdiv(at, m, root, value=-rate * momentum), {n: phi[n] for n in theta})
        effective = rate / root
        if prior.log_rate is not None:
            effective = effective * prior.along(theta, "rate")
        moved = m * effective * momentum
        if sigma is None:
            out = prior.proximal(theta, at - moved, centre, effective)
        else:
            out = centre + (at - centre - sigma * moved) / (1 + effective)
        return unflatten(out, {n: phi[n] for n in theta})
