"""sigma-Reptile (Chen et al. 2020, eqs. 9 and 10).

phi moves toward the tasks' solutions: the gradient of the joint density with a rate proportional to sigma_m^2 is
Reptile's sum_t (phi - theta_t), whatever the sigmas. sigma^2 follows the predictive loss of the query data, by one of

- `none`: Reptile; sigma^2 stays as it is and no query data is used;
- `first_order`: d l / d log sigma_m^2 = sum_t g_{t,m} . (theta_t - phi)_m, the workshop version's eq. 4 (the Hessian
  dropped against the prior); unbiased at the true sigma, and it does not fade when sigma is large;
- `diagonal`: sigma_m^-2 g_m (diag H_m + sigma_m^-2)^-1 (theta_t - phi)_m, its eq. 29; where the Hessian's diagonal is
  estimated (see `hessian_diagonal`) its noise enters below the line, which biases the quotient upward;
- `implicit`: eq. 7 for sigma^2 only, by conjugate gradients; it dies like 1 / sigma^2 and vanishes like sigma^2;
- `gauss_newton`: the same with the Gauss-Newton matrix for the Hessian, which has no direction of negative curvature.

phi's own dependence on sigma^2 is ignored, as in the paper. Frozen parameters stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from tts_meta.meta.conjugate import solve_or_first_order
from tts_meta.meta.curvature import GaussNewton
from tts_meta.meta.hypergrad.base import Inner, MetaGrads, sum_by_module, support_metrics
from tts_meta.meta.hypergrad.implicit import implicit_log_sigma2
from tts_meta.meta.loss import TaskLoss, gradient, hvp_operator
from tts_meta.meta.solvers.adam import ProximalAdam
from tts_meta.meta.solvers.base import Path
from tts_meta.meta.task import Batch, Episodes
from tts_meta.meta.tree import Tree, randn_like

SMALL = 128
"""Free parameters up to which the Hessian's diagonal is taken exactly, by one product a parameter."""


def hessian_diagonal(inner: Inner, theta: Tree, support: Batch, probes: int) -> Tree:
    """Diagonal of the data term's Hessian, `{name: [T, ...]}`; negative entries, which a convex term cannot have, are 0.

    Exact up to SMALL free parameters and if `probes` is 0. Above, Hutchinson's estimator (Hutchinson 1990; Bekas et al.
    2007 for the diagonal): the mean of z * H z over `probes` random signs z, drawn for each task from its generator in
    `inner.rngs`, so that neither chunks nor ranks change them and no meta-step repeats another's. Unbiased; the variance
    of an entry is the sum of squares of the rest of its row over `probes`. Raises ValueError without generators.
    """
    tasks = next(iter(theta.values())).shape[0]
    hessian = hvp_operator(inner.loss, theta, support, inner.fixed(tasks))
    if probes == 0 or sum(v[0].numel() for v in theta.values()) <= SMALL:
        found = {k: torch.zeros_like(v) for k, v in theta.items()}
        for k, v in theta.items():
            for i in range(v[0].numel()):
                one = {n: torch.zeros_like(t) for n, t in theta.items()}
                one[k].flatten(1)[:, i] = 1
                found[k].flatten(1)[:, i] = hessian(one)[k].flatten(1)[:, i]
    else:
        if len(inner.rngs) != tasks:
            raise ValueError(f"{len(inner.rngs)} generators for {tasks} tasks; the probes of the diagonal need one a task.")
        found = {k: torch.zeros_like(v) for k, v in theta.items()}
        for _ in range(probes):
            signs = {k: v.sign() for k, v in randn_like({k: v[0] for k, v in theta.items()}, list(inner.rngs)).items()}
            h = hessian(signs)
            found = {k: v + signs[k] * h[k] / probes for k, v in found.items()}
    return {k: v.clamp(min=0) for k, v in found.items()}


def carried_moments(inner: Inner, path: Path) -> Tree:
    """What takes `moments` of the state to the mean of the tasks' last second moments at a rate of 1; nothing where they do not
    go on from task to task."""
    solver = inner.solver
    if not isinstance(solver, ProximalAdam) or solver.start is None:
        return {}
    return {"moments": (solver.start - solver.moments(path.state)).sum(0)}


@dataclass(frozen=True)
class Displacement:
    """`sigma_gradient` is none, first_order, diagonal (`probes`), implicit or gauss_newton (`cg_steps` of the solver)."""

    sigma_gradient: str = "first_order"
    cg_steps: int = 10
    tolerance: float = 1e-6
    probes: int = 16

    def __post_init__(self) -> None:
        if self.sigma_gradient not in ESTIMATORS:
            raise ValueError(f"sigma_gradient is {self.sigma_gradient!r}; one of {sorted(ESTIMATORS)} is expected.")

    def __call__(self, inner: Inner, episodes: Episodes) -> MetaGrads:
        path = inner.solve(episodes)
        if self.sigma_gradient == "none":
            metrics = support_metrics(path)
            found = MetaGrads.of(self.phi(inner, path), torch.zeros_like(inner.prior.log_sigma2), episodes.tasks, metrics)
            found.grads |= carried_moments(inner, path)
            return found
        whole = episodes.whole_support() if self.sigma_gradient != "first_order" else None
        return self.at(path, inner, whole, episodes.query())

    def phi(self, inner: Inner, path: Path) -> Tree:
        moved = {k: (inner.phi[k] - v).sum(0) for k, v in path.theta.items()}
        return moved | {k: torch.zeros_like(v) for k, v in inner.frozen.items()}

    def at(self, path: Path, inner: Inner, support: Batch | None, query: Batch) -> MetaGrads:
        """The gradient at `path.theta`; `support`, the whole support set, is needed by all that know a curvature."""
        fixed = inner.fixed(next(iter(path.theta.values())).shape[0])
        losses, g = gradient(inner.loss, path.theta, query, fixed)
        d_sigma, more = ESTIMATORS[self.sigma_gradient](self, inner, path.theta, support, g)
        metrics = {"query_loss": losses.detach().sum(), **support_metrics(path), **more}
        return MetaGrads.of(self.phi(inner, path), d_sigma, len(losses), metrics)


def _none(cfg: Displacement, inner: Inner, theta: Tree, support: Batch | None, g: Tree) -> tuple[Tensor, dict]:
    return torch.zeros_like(inner.prior.log_sigma2), {}


def _first_order(cfg: Displacement, inner: Inner, theta: Tree, support: Batch | None, g: Tree) -> tuple[Tensor, dict]:
    return sum_by_module(inner.prior, {k: (g[k] * (theta[k] - inner.phi[k])).sum() for k in theta}), {}


def _diagonal(cfg: Displacement, inner: Inner, theta: Tree, support: Batch | None, g: Tree) -> tuple[Tensor, dict]:
    if support is None:
        raise ValueError("The diagonal sigma gradient needs the whole support set.")
    h = hessian_diagonal(inner, theta, support, cfg.probes)
    values = {
        k: (g[k] * (theta[k] - inner.phi[k]) / (1 + inner.prior.variance(k) * h[k])).sum() for k in theta
    }
    return sum_by_module(inner.prior, values), {}


def _implicit(
    cfg: Displacement, inner: Inner, theta: Tree, support: Batch | None, g: Tree,
    curvature: Callable[[TaskLoss], TaskLoss] = lambda loss: loss,
) -> tuple[Tensor, dict]:
    """`curvature` makes of the data term what the Hessian is taken of."""
    if support is None:
        raise ValueError("The implicit sigma gradient needs the whole support set.")
    fixed = inner.fixed(next(iter(theta.values())).shape[0])
    b = {k: inner.prior.sigma(k) * g[k] for k in theta}
    u, solved = solve_or_first_order(curvature(inner.loss), inner.prior, theta, support, b, cfg.cg_steps, cfg.tolerance, fixed)
    return implicit_log_sigma2(inner.prior, u, theta, inner.phi), solved


ESTIMATORS: dict[str, Callable[..., tuple[Tensor, dict]]] = {
    "none": _none, "first_order": _first_order, "diagonal": _diagonal, "implicit": _implicit,
    "gauss_newton": partial(_implicit, curvature=GaussNewton),
}


@dataclass(frozen=True)
class JointMAP:
    """The negative control: phi and sigma^2 both follow the joint density of the train data (workshop Prop. 1).

    d / d log sigma_m^2 = 1/2 (D_m - |theta_m - phi_m|^2 / sigma_m^2) of each task: it diverges to sigma = 0 for every
    module whose spread is under the threshold of Prop. 3. Never use it to learn sigma.
    """

    def __call__(self, inner: Inner, episodes: Episodes) -> MetaGrads:
        path = inner.solve(episodes)
        prior = inner.prior
        square = prior.distance(path.theta, inner.phi)
        values = {k: 0.5 * (v.numel() - square[k].sum()) for k, v in path.theta.items()}
        moved = Displacement("none").phi(inner, path)
        return MetaGrads.of(moved, sum_by_module(prior, values), episodes.tasks, support_metrics(path))
