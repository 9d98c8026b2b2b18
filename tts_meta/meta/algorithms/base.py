"""The learning algorithms' common shape: a flat state of named tensors, its gradients, and adaptation to tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from tts_meta.meta.hypergrad.base import MetaGrads
from tts_meta.meta.loss import grad_or_zero
from tts_meta.meta.posterior import Posterior
from tts_meta.meta.task import Episodes
from tts_meta.meta.tree import Tree

Fresh = Callable[[int], Tree]
"""`fresh(i)` is the i-th random initialisation of the network, `{name: [...]}`."""


class Algorithm(Protocol):
    """From meta-parameters and episodes to gradients of the meta-parameters."""

    def bounds(self, state: Tree) -> dict[str, tuple[Tensor, Tensor]]:
        """Clamps of the state: {key: (lowest, highest)}."""
        ...

    def init(self, fresh: Fresh) -> Tree:
        """The meta-parameters at the start, a flat dict of named tensors."""
        ...

    def meta_grads(self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator]) -> MetaGrads:
        """Directions to descend, summed over the tasks; one generator a task."""
        ...

    def adapt(
        self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator], at: Sequence[int]
    ) -> dict[int, Posterior]:
        """The posterior after each number of inner steps in `at`; the query data is not used."""
        ...


class Differentiable:
    """An algorithm that is one differentiable objective of its state."""

    def bounds(self, state: Tree) -> dict[str, tuple[Tensor, Tensor]]:
        return {}

    def objective(
        self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Losses `[T]` to descend and numbers to log `[T]`."""
        raise NotImplementedError

    def meta_grads(self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator]) -> MetaGrads:
        leaves = {k: v.detach().requires_grad_() for k, v in state.items()}
        with torch.enable_grad():
            losses, log = self.objective(leaves, episodes, rngs)
        grads = dict(zip(leaves, grad_or_zero(losses.sum(), list(leaves.values())), strict=True))
        metrics = {k: float(v.detach().sum()) for k, v in log.items()}
        return MetaGrads(grads, episodes.tasks, metrics)
