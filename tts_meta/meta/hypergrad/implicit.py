"""The implicit function theorem at the inner optimum (Chen et al. 2020, eq. 7; algorithms.md 1.4).

With S = diag(sigma), H the Hessian of the data term at theta and g the query gradient, solve the well-conditioned
whitened system (I + S H S) u = S g by conjugate gradients; then

    d l / d phi_m          = u_m / sigma_m
    d l / d log sigma_m^2  = u_m . (theta - phi)_m / sigma_m.

Modules with sigma = 0 drop out of the system by themselves (their row of S is zero).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tts_meta.meta.hypergrad.base import MetaGrads, sum_by_module
from tts_meta.meta.loss import TaskLoss, gradient, hvp
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.base import Path
from tts_meta.meta.task import Batch
from tts_meta.meta.tree import Tree, axpy, dot


def whitened_solve(
    loss: TaskLoss, prior: Shrinkage, theta: Tree, support: Batch, g: Tree, steps: int, tolerance: float = 0.0
) -> tuple[Tree, Tensor]:
    """u `{name: [T, ...]}` after at most `steps` conjugate-gradient steps, and the relative residuals `[T]`.

    Every task has its own step lengths. Stops early once all residuals are under `tolerance`. A direction of
    non-positive curvature (the data term is not convex away from its optimum) ends that task's iterations.
    """
    sigma = {k: prior.sigma(k) for k in theta}
    b = {k: sigma[k] * g[k] for k in theta}
    u = {k: torch.zeros_like(v) for k, v in b.items()}
    r, p = b, b
    rr = dot(r, r)
    start = rr.clamp(min=torch.finfo(rr.dtype).tiny)
    for _ in range(steps):
        if bool((rr <= tolerance**2 * start).all()):
            break
        hp = hvp(loss, theta, support, {k: sigma[k] * p[k] for k in p})
        ap = {k: p[k] + sigma[k] * hp[k] for k in p}
        curvature = dot(p, ap)
        good = (curvature > 0) & (rr > 0)
        alpha = torch.where(good, rr / torch.where(good, curvature, torch.ones_like(rr)), torch.zeros_like(rr))
        u = axpy(alpha, p, u)
        r = axpy(-alpha, ap, r)
        new = dot(r, r)  # the new residual's own norm: the direction below must not be made from the old one
        beta = torch.where(good, new / rr.clamp(min=torch.finfo(rr.dtype).tiny), torch.zeros_like(rr))
        p = axpy(beta, p, r)
        rr = torch.where(good, new, rr * 0)
    return u, (rr / start).sqrt()


def implicit_log_sigma2(prior: Shrinkage, u: Tree, theta: Tree, phi: Tree) -> Tensor:
    """Sum over tasks of d l / d log sigma^2, `[M]`."""
    values = {}
    for k in theta:
        sigma = prior.sigma(k)
        values[k] = (u[k] * (theta[k] - phi[k])).sum() / sigma if float(sigma) > 0 else u[k].new_zeros(())
    return sum_by_module(prior, values)


@dataclass(frozen=True)
class Implicit:
    """sigma-iMAML: phi and log sigma^2 both by the implicit gradient; one sigma for all is iMAML, lambda = 1/sigma^2."""

    cg_steps: int = 10
    tolerance: float = 1e-6

    def __call__(
        self, path: Path, loss: TaskLoss, prior: Shrinkage, phi: Tree, support: Batch | None, query: Batch
    ) -> MetaGrads:
        if support is None:
            raise ValueError("The implicit gradient needs the whole support set; give the task `whole_support`.")
        theta = path.theta
        losses, g = gradient(loss, theta, query)
        u, residual = whitened_solve(loss, prior, theta, support, g, self.cg_steps, self.tolerance)
        d_phi = {}
        for k, v in u.items():
            sigma = prior.sigma(k)
            d_phi[k] = v.sum(0) / sigma if float(sigma) > 0 else g[k].sum(0)
        return MetaGrads(
            d_phi, implicit_log_sigma2(prior, u, theta, phi), len(losses),
            {"query_loss": float(losses.sum()), "cg_residual": float(residual.sum())},
        )
