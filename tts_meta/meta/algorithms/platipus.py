"""PLATIPUS, probabilistic MAML (Finn et al. 2018).

Training draws theta ~ N(mu - gamma_q grad L_query(mu), v_q), adapts theta_K by K gradient steps on the support loss and
pays L_query(theta_K) + weight KL(N(mu - gamma_q grad L_query, v_q) | N(mu - gamma_p grad L_support, sd^2)). At test time
theta is drawn from the second Gaussian. mu, sd, v_q, gamma_p and gamma_q are learned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tts_meta.meta.algorithms.base import Differentiable, Fresh
from tts_meta.meta.gaussian import kl_diagonal
from tts_meta.meta.loss import NetLoss, gradient
from tts_meta.meta.partition import Partition
from tts_meta.meta.posterior import Posterior, Samples
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.gd import ProximalGD
from tts_meta.meta.task import Batch, Episodes
from tts_meta.meta.tree import Tree, axpy, expand, pick, prefixed, randn_like


@dataclass
class Platipus(Differentiable):
    """State: phi/<name> (mu), log_sd/<name> and log_sd_q/<name> per parameter, log_gamma `[2]` (p, q)."""

    loss: NetLoss
    rate: float
    steps: int = 1
    start_sd: float = 0.02
    start_gamma: float = 0.01
    kl_weight: float = 1.0
    samples: int = 10

    def init(self, fresh: Fresh) -> Tree:
        phi = {k: v.detach().clone() for k, v in fresh(0).items()}
        sd = {k: torch.full_like(v, math.log(self.start_sd)) for k, v in phi.items()}
        like = next(iter(phi.values()))
        gamma = torch.full((2,), math.log(self.start_gamma)).to(like)
        return {
            **prefixed("phi", phi), **prefixed("log_sd", sd), **prefixed("log_sd_q", {k: v.clone() for k, v in sd.items()}),
            "log_gamma": gamma,
        }

    def _shifted(self, mu: Tree, batch: Batch, gamma: Tensor, graph: bool) -> Tree:
        if not graph:
            mu = {k: v.detach().requires_grad_() for k, v in mu.items()}
        _, g = gradient(self.loss, mu, batch, graph=graph)
        return axpy(-gamma, g, mu)

    def _descend(self, theta: Tree, episodes: Episodes, steps: int, graph: bool, watch=None) -> Tree:
        flat = Shrinkage(Partition.single(theta), torch.full((1,), math.inf))
        return ProximalGD(self.rate).solve(
            self.loss, flat, {}, theta, episodes.support, steps, graph=graph, watch=watch
        ).theta

    def objective(
        self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        phi = pick(state, "phi")
        mu = expand(phi, episodes.tasks)
        log_sd, log_sd_q = (expand(pick(state, k), episodes.tasks) for k in ("log_sd", "log_sd_q"))
        gamma_p, gamma_q = state["log_gamma"].exp().unbind()
        query = episodes.query()
        mean_q = self._shifted(mu, query, gamma_q, graph=True)
        mean_p = self._shifted(mu, episodes.whole_support(), gamma_p, graph=True)
        noise = randn_like(phi, list(rngs))
        theta = {k: mean_q[k] + log_sd_q[k].exp() * noise[k] for k in mu}
        theta = self._descend(theta, episodes, self.steps, graph=True)
        loss, kl = self.loss(theta, query), kl_diagonal(mean_q, log_sd_q, mean_p, log_sd)
        return loss + self.kl_weight * kl, {"query_loss": loss, "kl": kl}

    def adapt(
        self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator], at: Sequence[int]
    ) -> dict[int, Posterior]:
        phi = pick(state, "phi")
        log_sd = expand(pick(state, "log_sd"), episodes.tasks)
        mean = self._shifted(expand(phi, episodes.tasks), episodes.whole_support(), state["log_gamma"][0].exp(), False)
        found: dict[int, list[Tree]] = {k: [] for k in at}
        for _ in range(self.samples):
            noise = randn_like(phi, list(rngs))
            theta = {k: (mean[k] + log_sd[k].exp() * noise[k]).detach() for k in phi}
            self._descend(theta, episodes, max(at), False, lambda k, t: found[k].append(t) if k in found else None)
        return {k: Samples(v, self.loss.outputs) for k, v in found.items()}
