"""Hessian-free inner solver: Newton's method by conjugate gradients, with a backtracking line search (Martens 2010;
the Hessian-free rows of Rajeswaran et al. 2019).

In whitened coordinates eps = (theta - phi) / sigma the train loss is l_data + 1/2 |eps|^2, its gradient
sigma g + eps and its Hessian I + S H S, so that one solver serves every finite sigma^2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tts_meta.meta.conjugate import whitened_solve
from tts_meta.meta.loss import TaskLoss, gradient
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.base import Path
from tts_meta.meta.task import Batch
from tts_meta.meta.tree import Tree, dot, per_task


@dataclass(frozen=True)
class NewtonCG:
    """A step is at most `cg_steps` conjugate-gradient steps and at most `halvings` of the step length until the train
    loss falls by `armijo` of what the gradient promises; a task whose loss cannot be lowered stays where it is."""

    cg_steps: int = 5
    halvings: int = 10
    armijo: float = 1e-4
    tolerance: float = 1e-8

    def solve(
        self,
        loss: TaskLoss,
        prior: Shrinkage,
        phi: Tree,
        theta: Tree,
        batches: Callable[[int], Batch],
        steps: int,
        fixed: Tree | None = None,
        keep: bool = False,
        graph: bool = False,
        watch: Callable[[int, Tree], None] | None = None,
    ) -> Path:
        """See `Solver`; raises ValueError for `graph` (a line search has no derivative) and for an infinite sigma."""
        if graph:
            raise ValueError("NewtonCG cannot be differentiated through; use the implicit hypergradient with it.")
        if not bool(torch.isfinite(prior.log_sigma2).all()):
            raise ValueError("NewtonCG needs a finite sigma for every module; it got 0 or inf: give a fixed sigma.")
        sigma = {k: prior.sigma(k) for k in theta}
        path = Path(theta)
        for k in range(steps + 1):
            if watch:
                watch(k, path.theta)
            if keep:
                path.visited.append(path.theta)
            if k == steps:
                break
            batch, start = batches(k), path.theta
            losses, g = gradient(loss, start, batch, fixed)
            path.losses.append(losses)
            eps = {n: (start[n] - phi[n]) / sigma[n] for n in start}
            total = {n: sigma[n] * g[n] + eps[n] for n in start}
            u, _ = whitened_solve(
                loss, prior, start, batch, {n: -v for n, v in total.items()}, self.cg_steps, self.tolerance, fixed
            )
            slope = dot(total, u)
            with torch.no_grad():
                before = losses + 0.5 * dot(eps, eps)
                length, done = torch.ones_like(losses), torch.zeros_like(losses, dtype=torch.bool)
                for _ in range(self.halvings + 1):
                    moved = {n: start[n] + sigma[n] * per_task(length, u[n]) * u[n] for n in start}
                    after = loss({**(fixed or {}), **moved}, batch) + prior.penalty(moved, phi)
                    done = after <= before + self.armijo * length * slope
                    if bool(done.all()):
                        break
                    length = torch.where(done, length, 0.5 * length)
                length = torch.where(done, length, torch.zeros_like(length))
                path.theta = {n: start[n] + sigma[n] * per_task(length, u[n]) * u[n] for n in start}
            if keep:
                path.grads.append(g)
        return path
