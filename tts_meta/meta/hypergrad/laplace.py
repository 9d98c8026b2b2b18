"""MAML as hierarchical Bayes (Grant et al. 2018), ML-LAPLACE: descend

    -log p(query | theta_K) + eta log det(H(theta_K) + P)

through the inner steps; H is the curvature of the support loss, P the prior's precision. eta = 0 is ML-POINT, that is
MAML. With exact curvature, the support set as query and eta = 1/2 it is Laplace's approximation of the negative log
evidence (exact for linear-Gaussian tasks) without its penalty 1/2 |theta_K - phi|^2 / sigma^2 and constants: the query
loss of the paper is the likelihood alone, not the density of the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from tts_meta.meta.curvature import CURVATURES
from tts_meta.meta.hypergrad.base import Inner, MetaGrads, support_metrics
from tts_meta.meta.hypergrad.unroll import live, named
from tts_meta.meta.loss import grad_or_zero
from tts_meta.meta.task import Episodes


@dataclass(frozen=True)
class UnrollLaplace:
    """`curvature` is exact, gauss_newton or diagonal; every sigma must be finite."""

    curvature: str = "gauss_newton"
    eta: float = 1e-3

    def __post_init__(self) -> None:
        if self.curvature not in CURVATURES:
            raise ValueError(f"curvature is {self.curvature!r}; one of {sorted(CURVATURES)} is expected.")

    def __call__(self, inner: Inner, episodes: Episodes) -> MetaGrads:
        at, leaves = live(inner)
        path = at.solve(episodes, graph=True)
        query = at.query_loss(path.theta, episodes)
        curvature = CURVATURES[self.curvature]
        log_det = curvature(at.loss, at.prior, path.theta, episodes.whole_support(), at.fixed(episodes.tasks))
        grads = grad_or_zero((query + self.eta * log_det).sum(), leaves)
        metrics = {
            "query_loss": query.detach().sum(), "log_det": log_det.detach().sum(), **support_metrics(path),
        }
        return MetaGrads(named(at, grads), episodes.tasks, metrics)
