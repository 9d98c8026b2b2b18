"""Bayesian MAML (Yoon et al. 2018): M particles moved by SVGD, trained by the chaser loss.

    chaser = n SVGD steps on the support data from the meta-learned particles,
    leader = s more steps from there on support and query data, detached,
    loss   = sum_m |chaser_m - leader_m|^2.

A partition with a frozen body gives the last-layer variant for classification: particles of the head alone; the body
then also follows the query loss of the chasers (`query_weight`), since the distance between heads says little about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from tts_meta.meta.algorithms.base import Differentiable, Fresh
from tts_meta.meta.loss import NetLoss, gradient
from tts_meta.meta.partition import FROZEN, Partition
from tts_meta.meta.posterior import Posterior, Samples
from tts_meta.meta.solvers.svgd import direction
from tts_meta.meta.task import Batch, Episodes
from tts_meta.meta.tree import Tree, expand, flatten, pick, prefixed, unflatten


@dataclass
class BMAML(Differentiable):
    """State: phi/<name> of the shared parameters, particles/<name> `[M, ...]` of the free ones.

    The posterior is exp(-loss) N(theta | 0, 1 / `precision`); parameters matching `nuisance` (learned precisions) move
    like the others but count neither for that prior nor for the chaser's distance.
    """

    loss: NetLoss
    partition: Callable[[Iterable[str]], Partition]
    rate: float
    particles: int = 10
    steps: int = 1
    leader_steps: int = 1
    precision: float = 0.0
    query_weight: float = 0.0
    chaser_weight: float = 1.0
    nuisance: Sequence[str] = ()

    def init(self, fresh: Fresh) -> Tree:
        each = [fresh(i) for i in range(self.particles)]
        parts = self.partition(list(each[0]))
        free = [k for k in each[0] if parts.module_of[k] != FROZEN]
        shared = {k: v.detach().clone() for k, v in each[0].items() if k not in free}
        return prefixed("phi", shared) | prefixed("particles", {k: torch.stack([e[k] for e in each]).detach() for k in free})

    def _counts(self, like: Tree) -> Tensor:
        """1 for the parameters of the network, 0 for the nuisance ones, `[D]`."""
        return torch.cat([
            v.new_full((v.numel(),), float(not any(fnmatchcase(k, p) for p in self.nuisance))) for k, v in like.items()
        ])

    def _svgd(
        self, x: Tensor, like: Tree, shared: Tree, batches: Callable[[int], Batch], steps: int, graph: bool,
        watch: Callable[[int, Tensor], None] | None = None,
    ) -> Tensor:
        """`steps` SVGD steps of particles `[T, M, D]`."""
        tasks, m = x.shape[:2]
        counts = self._counts(like)
        for k in range(steps + 1):
            if watch:
                watch(k, x)
            if k == steps:
                break
            batch = {n: v.repeat_interleave(m, 0) for n, v in batches(k).items()}
            if not graph:
                x = x.detach()
            theta = unflatten(x.reshape(tasks * m, -1), like)
            _, g = gradient(self.loss, theta, batch, expand(shared, tasks * m), graph)
            score = -flatten(g).reshape(tasks, m, -1) - self.precision * counts * x
            x = x + self.rate * direction(x, score)
        return x

    def objective(
        self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        shared, particles = pick(state, "phi"), pick(state, "particles")
        like = {k: v[0] for k, v in particles.items()}
        start = flatten(particles).expand(episodes.tasks, -1, -1)
        chaser = self._svgd(start, like, shared, episodes.support, self.steps, graph=True)
        support, query = episodes.whole_support(), episodes.query()
        whole = {"mask": torch.ones(query["x"].shape[:2]).to(query["x"])}  # a query set has no repeated images
        both = {k: torch.cat([v, {**whole, **query}[k]], 1) for k, v in support.items()}
        frozen = {k: v.detach() for k, v in shared.items()}
        leader = self._svgd(chaser.detach(), like, frozen, lambda k: both, self.leader_steps, graph=False).detach()
        counts = self._counts(like)
        distance = ((chaser - leader) ** 2 * counts).sum((1, 2))
        m = chaser.shape[1]
        theta = unflatten(chaser.reshape(episodes.tasks * m, -1), like)
        repeated = {k: v.repeat_interleave(m, 0) for k, v in query.items()}
        loss = self.loss({**expand(shared, episodes.tasks * m), **theta}, repeated).reshape(-1, m).mean(1)
        total = self.chaser_weight * distance + self.query_weight * loss
        return total, {"query_loss": loss, "chaser": distance}

    def adapt(
        self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator], at: Sequence[int]
    ) -> dict[int, Posterior]:
        shared, particles = pick(state, "phi"), pick(state, "particles")
        like = {k: v[0] for k, v in particles.items()}
        fixed, found = expand(shared, episodes.tasks), {}

        def watch(k: int, x: Tensor) -> None:
            if k in at:
                each = [{**fixed, **unflatten(x[:, i].detach(), like)} for i in range(x.shape[1])]
                found[k] = Samples(each, self.loss.outputs)

        start = flatten(particles).expand(episodes.tasks, -1, -1)
        self._svgd(start, like, shared, episodes.support, max(at), graph=False, watch=watch)
        return dict(found)
