"""Hessian-free inner solver: Newton's method by conjugate gradients, with a backtracking line search (Martens 2010;
the Hessian-free rows of Rajeswaran et al. 2019).

In whitened coordinates eps = (theta - phi) / sigma the train loss is l_data + 1/2 |eps|^2, its gradient
sigma g + eps and its Hessian I + S H S, so that one solver serves every finite sigma^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tts_meta.meta.conjugate import whitened_solve
from tts_meta.meta.loss import TaskLoss
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.base import Solver
from tts_meta.meta.task import Batch
from tts_meta.meta.tree import Tree, dot, per_task


@dataclass(frozen=True)
class NewtonCG(Solver):
    """A step is at most `cg_steps` conjugate-gradient steps and at most `halvings` of the step length until the train
    loss falls by `armijo` of what the gradient promises; a task whose loss cannot be lowered stays where it is."""

    cg_steps: int = 5
    halvings: int = 10
    armijo: float = 1e-4
    tolerance: float = 1e-8

    differentiable = False  # a line search has no derivative

    def move(
        self, loss: TaskLoss, prior: Shrinkage, phi: Tree, theta: Tree, batch: Batch, losses: Tensor, grad: Tree,
        state: dict[str, Any], fixed: Tree,
    ) -> Tree:
        """See `Solver`; raises ValueError for an infinite sigma."""
        if not bool(torch.isfinite(prior.log_sigma2).all()):
            raise ValueError("NewtonCG needs a finite sigma for every module; it got 0 or inf: give a fixed sigma.")
        sigma = {k: prior.sigma(k) for k in theta}
        eps = {n: (theta[n] - phi[n]) / sigma[n] for n in theta}
        total = {n: sigma[n] * grad[n] + eps[n] for n in theta}
        with torch.enable_grad():  # the Hessian's products need it
            b = {n: -v for n, v in total.items()}
            # At negative curvature this is still a direction of descent (Nocedal & Wright 2006, section 7.1).
            u = whitened_solve(loss, prior, theta, batch, b, self.cg_steps, self.tolerance, fixed).u
        slope, before = dot(total, u), losses + 0.5 * dot(eps, eps)
        length, done = torch.ones_like(losses), torch.zeros_like(losses, dtype=torch.bool)

        def along(length: Tensor) -> Tree:
            return {n: theta[n] + sigma[n] * per_task(length, u[n]) * u[n] for n in theta}

        for _ in range(self.halvings + 1):
            moved = along(length)
            after = loss({**fixed, **moved}, batch) + prior.penalty(moved, phi)
            done = after <= before + self.armijo * length * slope
            if bool(done.all()):
                break
            length = torch.where(done, length, 0.5 * length)
        return along(torch.where(done, length, torch.zeros_like(length)))
