"""The implicit function theorem at the inner optimum (Chen et al. 2020, eq. 7).

With S = diag(sigma), H the Hessian of the data term at theta and g the query gradient, solve the well-conditioned
whitened system (I + S H S) u = S g by conjugate gradients; then

    d l / d phi_m          = u_m / sigma_m
    d l / d log sigma_m^2  = u_m . (theta - phi)_m / sigma_m
    d l / d frozen         = g_frozen - (d^2 l_data / d frozen d theta) (S u).

A module with sigma = 0 drops out of the system by itself (its row of S is zero) and its phi gets g.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from tts_meta.meta.conjugate import solve_or_first_order
from tts_meta.meta.curvature import GaussNewton
from tts_meta.meta.hypergrad.base import Inner, MetaGrads, sum_by_module, support_metrics
from tts_meta.meta.loss import TaskLoss, grad_or_zero, gradient
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.base import Path
from tts_meta.meta.task import Batch, Episodes
from tts_meta.meta.tree import Tree


def implicit_log_sigma2(prior: Shrinkage, u: Tree, theta: Tree, phi: Tree) -> Tensor:
    """Sum over tasks of d l / d log sigma^2, `[M]`."""
    values = {}
    for k in theta:
        sigma = prior.sigma(k)
        values[k] = (u[k] * (theta[k] - phi[k])).sum() / sigma if float(sigma) > 0 else u[k].new_zeros(())
    return sum_by_module(prior, values)


def mixed(inner: Inner, theta: Tree, support: Batch, v: Tree) -> Tree:
    """(d^2 l_data / d frozen d theta) v, `{name: [T, ...]}`."""
    moving = {k: t.detach().requires_grad_() for k, t in theta.items()}
    tasks = next(iter(theta.values())).shape[0]
    still = {k: t.detach().clone().requires_grad_() for k, t in inner.fixed(tasks).items()}
    _, grad = gradient(inner.loss, moving, support, still, graph=True)
    along = torch.stack([(grad[k] * v[k]).sum() for k in theta]).sum()
    return dict(zip(still, grad_or_zero(along, list(still.values())), strict=True))


@dataclass(frozen=True)
class Implicit:
    """sigma-iMAML: phi and log sigma^2 both by the implicit gradient; one sigma for all is iMAML, lambda = 1/sigma^2.

    Zero `cg_steps` give FO-MAML's direction for phi and nothing for sigma. The Hessian of `curvature` takes the place of the data
    term's where that is given: of a likelihood that has none (absolute errors), its expectation, the Fisher information
    (Martens 2020).
    """

    cg_steps: int = 10
    tolerance: float = 1e-6
    curvature: TaskLoss | None = field(default=None, metadata={"setting": False})  # belongs to the loss

    def bent(self, inner: Inner) -> TaskLoss:
        """What the Hessian is taken of."""
        return self.curvature or inner.loss

    def __call__(self, inner: Inner, episodes: Episodes) -> MetaGrads:
        path = inner.solve(episodes)
        return self.at(path, inner, episodes.whole_support(), episodes.query())

    def at(self, path: Path, inner: Inner, support: Batch, query: Batch) -> MetaGrads:
        """The gradient at `path.theta`, taken to be the optimum; every free sigma must be finite."""
        theta, prior = path.theta, inner.prior
        tasks = next(iter(theta.values())).shape[0]
        fixed = inner.fixed(tasks)
        losses, g = gradient(inner.loss, {**fixed, **theta}, query)
        metrics = {"query_loss": losses.detach().sum(), **support_metrics(path)}
        if self.cg_steps == 0:
            phi = {k: v.sum(0) for k, v in g.items()}
            return MetaGrads.of(phi, torch.zeros_like(prior.log_sigma2), tasks, metrics)
        b = {k: prior.sigma(k) * g[k] for k in theta}
        u, solved = solve_or_first_order(self.bent(inner), prior, theta, support, b, self.cg_steps, self.tolerance, fixed)
        d_phi = {}
        for k, v in u.items():
            sigma = prior.sigma(k)
            d_phi[k] = v.sum(0) / sigma if float(sigma) > 0 else g[k].sum(0)
        if inner.frozen:
            cross = mixed(inner, theta, support, {k: prior.sigma(k) * v for k, v in u.items()})
            d_phi.update({k: (g[k] - cross[k]).sum(0) for k in inner.frozen})
        return MetaGrads.of(d_phi, implicit_log_sigma2(prior, u, theta, inner.phi), tasks, {**metrics, **solved})


@dataclass(frozen=True)
class GaussNewtonImplicit(Implicit):
    """The implicit gradient with the Gauss-Newton matrix of the data term in place of its Hessian: of a network whose inner loop
    ends where the loss is not convex, as early in meta-training it does in nearly every task."""

    def bent(self, inner: Inner) -> TaskLoss:
        return self.curvature or GaussNewton(inner.loss)
