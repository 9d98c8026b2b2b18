"""Amortized Bayesian meta-learning (Ravi & Beatson 2019).

q = N(m, s^2) starts at the prior N(mu, sd^2) and takes K gradient steps on -E_q log p(support) + kl_weight KL(q | prior);
the outer loss is -E_q log p(support and query) + KL(q | prior) minus the hyper-prior
log N(mu; 0, I) + sum log Gamma(1 / sd^2; a0, b0), the latter shared out over `prior_tasks` tasks.

Expectations are by local reparametrisation (Kingma et al. 2015): each layer's activations are drawn, not its weights,
with noise that the batch carries (nets/layers.py). Zero sd with kl_weight 0 is MAML.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tts_meta.meta.algorithms.base import Differentiable, Fresh
from tts_meta.meta.gaussian import gamma_log_density, kl_diagonal
from tts_meta.meta.loss import NetLoss, grad_or_zero
from tts_meta.meta.posterior import Posterior, Samples
from tts_meta.meta.task import Batch, Episodes
from tts_meta.meta.tree import Tree, expand, pick, prefixed, randn_like

Noise = Callable[[Batch], dict[str, tuple[int, ...]]]
"""Shapes of one task's activation noise, `{"eps/<layer>": [B, ...]}`, for a batch `[T, B, ...]`."""


@dataclass
class ABML(Differentiable):
    """State: phi/<name> (mu) and log_sd/<name>, per parameter. `rate_sd` is the inner rate of log s."""

    loss: NetLoss
    noise: Noise
    rate: float
    rate_sd: float | None = None
    steps: int = 5
    start_sd: float = 0.02
    kl_weight: float = 0.1
    outer_kl: float = 1.0
    a0: float = 1.0
    b0: float = 0.01
    prior_tasks: float = 1e4
    samples: int = 10

    def init(self, fresh: Fresh) -> Tree:
        phi = {k: v.detach().clone() for k, v in fresh(0).items()}
        return prefixed("phi", phi) | prefixed("log_sd", {k: torch.full_like(v, math.log(self.start_sd)) for k, v in phi.items()})

    def _expected(self, mean: Tree, log_sd: Tree, batch: Batch, rngs: Sequence[torch.Generator]) -> Tensor:
        """One draw of -E_q log p, `[T]`."""
        like = next(iter(mean.values()))
        shapes = {k: like.new_zeros(s) for k, s in self.noise(batch).items()}
        sd = prefixed("sd", {k: v.exp() for k, v in log_sd.items()})
        return self.loss(mean, {**batch, **randn_like(shapes, list(rngs)), **sd})

    def _descend(
        self, mu: Tree, log_sd: Tree, episodes: Episodes, rngs: Sequence[torch.Generator], steps: int, graph: bool,
        watch: Callable[[int, Tree, Tree], None] | None = None,
    ) -> tuple[Tree, Tree]:
        mean, spread = mu, log_sd
        names = list(mu)
        rate_sd = self.rate if self.rate_sd is None else self.rate_sd
        for k in range(steps + 1):
            if watch:
                watch(k, mean, spread)
            if k == steps:
                break
            if not graph:
                mean, spread = ({n: v.detach().requires_grad_() for n, v in x.items()} for x in (mean, spread))
            total = self._expected(mean, spread, episodes.support(k), rngs)
            if self.kl_weight:
                total = total + self.kl_weight * kl_diagonal(mean, spread, mu, log_sd)
            leaves = [*mean.values(), *spread.values()]
            g = grad_or_zero(total.sum(), leaves, create_graph=graph)
            mean = {n: mean[n] - self.rate * x for n, x in zip(names, g[: len(names)], strict=True)}
            spread = {n: spread[n] - rate_sd * x for n, x in zip(names, g[len(names) :], strict=True)}
        return mean, spread

    def hyper_prior(self, state: Tree) -> Tensor:
        """-log p(mu, sd), a scalar."""
        mu, log_sd = pick(state, "phi"), pick(state, "log_sd")
        normal = [(0.5 * v**2 + 0.5 * math.log(2 * math.pi)).sum() for v in mu.values()]
        gamma = [gamma_log_density((-2 * v).exp(), self.a0, self.b0).sum() for v in log_sd.values()]
        return torch.stack(normal).sum() - torch.stack(gamma).sum()

    def objective(
        self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        mu, log_sd = (expand(pick(state, k), episodes.tasks) for k in ("phi", "log_sd"))
        mean, spread = self._descend(mu, log_sd, episodes, rngs, self.steps, graph=True)
        support, query = episodes.whole_support(), episodes.query()
        on_query = self._expected(mean, spread, query, rngs)
        data = self._expected(mean, spread, support, rngs) + on_query
        kl = kl_diagonal(mean, spread, mu, log_sd) if self.outer_kl else torch.zeros_like(data)
        total = data + self.outer_kl * kl + self.hyper_prior(state) / self.prior_tasks
        return total, {"query_loss": on_query, "kl": kl}

    def adapt(
        self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator], at: Sequence[int]
    ) -> dict[int, Posterior]:
        phi = pick(state, "phi")
        mu, log_sd = (expand(pick(state, k), episodes.tasks) for k in ("phi", "log_sd"))
        reached: dict[int, tuple[Tree, Tree]] = {}
        self._descend(
            mu, log_sd, episodes, rngs, max(at), False, lambda k, m, s: reached.update({k: (m, s)}) if k in at else None
        )
        out: dict[int, Posterior] = {}
        for k, (mean, spread) in reached.items():
            draws = []
            for _ in range(self.samples):
                noise = randn_like(phi, list(rngs))
                draws.append({n: (mean[n] + spread[n].exp() * noise[n]).detach() for n in phi})
            out[k] = Samples(draws, self.loss.outputs)
        return out
