"""VERSA / ML-PIP (Gordon et al. 2019): an amortised Gaussian over the head, no inner loop.

loss = -log (1/L) sum_l p(query | theta_l),  theta_l ~ q(theta | support) by a network (nets/amortised.py) that meets
support, query and the noise in one batch. The log of a Monte-Carlo mean is biased low; more samples tighten it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tts_meta.meta.algorithms.base import Differentiable, Fresh
from tts_meta.meta.loss import NetLoss
from tts_meta.meta.posterior import Posterior
from tts_meta.meta.task import Batch, Episodes
from tts_meta.meta.tree import Tree, expand, pick, prefixed, randn_like


@dataclass
class Amortised:
    """Predicts with the heads that the network draws for the support set."""

    loss: NetLoss
    params: Tree
    joined: Batch

    @torch.no_grad()
    def outputs(self, batch: Batch) -> Tensor:
        out = self.loss.outputs(self.params, {**batch, **self.joined})  # [T, L, B, C]
        return out.transpose(0, 1)


@dataclass
class Versa(Differentiable):
    """State: phi/<name>, all of the network (features and inference). `noise_shape` is one task's, `[L, ...]`."""

    loss: NetLoss
    noise_shape: Sequence[int]

    def init(self, fresh: Fresh) -> Tree:
        return prefixed("phi", {k: v.detach().clone() for k, v in fresh(0).items()})

    def _joined(self, like: Tensor, episodes: Episodes, rngs: Sequence[torch.Generator]) -> Batch:
        support = prefixed("support", episodes.whole_support())
        return {**support, **randn_like({"eps": like.new_zeros(tuple(self.noise_shape))}, list(rngs))}

    def objective(
        self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        phi = pick(state, "phi")
        joined = self._joined(next(iter(phi.values())), episodes, rngs)
        loss = self.loss(expand(phi, episodes.tasks), {**episodes.query(), **joined})
        return loss, {"query_loss": loss}

    def adapt(
        self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator], at: Sequence[int]
    ) -> dict[int, Posterior]:
        phi = pick(state, "phi")
        joined = self._joined(next(iter(phi.values())), episodes, rngs)
        return dict.fromkeys(at, Amortised(self.loss, expand(phi, episodes.tasks), joined))
