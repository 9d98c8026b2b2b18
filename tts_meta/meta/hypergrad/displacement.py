"""sigma-Reptile (Chen et al. 2020, eqs. 9 and 10; algorithms.md 1.5).

phi moves toward the tasks' solutions: the gradient of the joint density with a rate proportional to sigma_m^2 is
Reptile's sum_t (phi - theta_t), whatever the sigmas. sigma^2 follows the predictive loss of the query data, by one of

- `first_order`: d l / d log sigma_m^2 = sum_t g_{t,m} . (theta_t - phi)_m, the workshop version's eq. 4 (the Hessian
  dropped against the prior); unbiased at the true sigma, and it does not fade when sigma is large;
- `implicit`: eq. 7 for sigma^2 only, by conjugate gradients; it dies like 1 / sigma^2 and vanishes like sigma^2.

phi's own dependence on sigma^2 is ignored, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

from tts_meta.meta.hypergrad.base import MetaGrads, sum_by_module
from tts_meta.meta.hypergrad.implicit import implicit_log_sigma2, whitened_solve
from tts_meta.meta.loss import TaskLoss, gradient
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.base import Path
from tts_meta.meta.task import Batch
from tts_meta.meta.tree import Tree


@dataclass(frozen=True)
class Displacement:
    """`sigma_gradient` is first_order or implicit (`cg_steps` conjugate-gradient steps)."""

    sigma_gradient: str = "first_order"
    cg_steps: int = 10
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        if self.sigma_gradient not in ("first_order", "implicit"):
            raise ValueError(f"sigma_gradient is {self.sigma_gradient!r}; first_order or implicit is expected.")

    def __call__(
        self, path: Path, loss: TaskLoss, prior: Shrinkage, phi: Tree, support: Batch | None, query: Batch
    ) -> MetaGrads:
        theta = path.theta
        losses, g = gradient(loss, theta, query)
        metrics = {"query_loss": float(losses.sum())}
        if self.sigma_gradient == "first_order":
            d_sigma = sum_by_module(prior, {k: (g[k] * (theta[k] - phi[k])).sum() for k in theta})
        else:
            if support is None:
                raise ValueError("The implicit sigma gradient needs the whole support set; give `whole_support`.")
            u, residual = whitened_solve(loss, prior, theta, support, g, self.cg_steps, self.tolerance)
            d_sigma = implicit_log_sigma2(prior, u, theta, phi)
            metrics["cg_residual"] = float(residual.sum())
        d_phi = {k: (phi[k] - theta[k]).sum(0) for k in theta}
        return MetaGrads(d_phi, d_sigma, len(losses), metrics)
