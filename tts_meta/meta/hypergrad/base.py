"""What every way of differentiating is given and returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.base import Path, Solver
from tts_meta.meta.task import Episodes
from tts_meta.meta.tree import Tree, expand, pick, prefixed


@dataclass
class MetaGrads:
    """Directions to descend, summed over the tasks, by the keys of the algorithm's state; numbers to log (sums), which may be
    tensors `[]`."""

    grads: Tree
    tasks: int
    metrics: Mapping[str, float | Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, phi: Tree, log_sigma2: Tensor, tasks: int, metrics: Mapping[str, float | Tensor]) -> MetaGrads:
        return cls({**prefixed("phi", phi), "log_sigma2": log_sigma2}, tasks, metrics)

    @property
    def phi(self) -> Tree:
        return pick(self.grads, "phi")

    @property
    def log_sigma2(self) -> Tensor:
        return self.grads["log_sigma2"]

    def add(self, other: MetaGrads) -> MetaGrads:
        return MetaGrads(
            {k: v + other.grads[k] for k, v in self.grads.items()},
            self.tasks + other.tasks,
            {k: v + other.metrics[k] for k, v in self.metrics.items()},
        )


@dataclass(frozen=True)
class Inner:
    """The inner problem at the current meta-parameters: who moves, under which prior, by which solver, how long.

    `phi` `{name: [...]}` holds the free parameters, `frozen` those that every task shares. `rngs`, a generator a task,
    are for hypergradients that draw.
    """

    loss: Any  # TaskLoss; ML-LAPLACE needs a NetLoss
    prior: Shrinkage
    phi: Tree
    frozen: Tree
    solver: Solver
    steps: int
    rngs: Sequence[torch.Generator] = ()

    def fixed(self, tasks: int) -> Tree:
        return expand(self.frozen, tasks)

    def solve(self, episodes: Episodes, keep: bool = False, graph: bool = False, **more) -> Path:
        theta = expand(self.phi, episodes.tasks)
        return self.solver.solve(
            self.loss, self.prior, self.phi, theta, episodes.support, self.steps, self.fixed(episodes.tasks), keep,
            graph, **more,
        )

    def query_loss(self, theta: Tree, episodes: Episodes) -> Tensor:
        """Loss of the query data, `[T]`."""
        return self.loss({**self.fixed(episodes.tasks), **theta}, episodes.query())


class Hypergradient(Protocol):
    """Gradients of the outer loss through, or around, the inner loop."""

    def __call__(self, inner: Inner, episodes: Episodes) -> MetaGrads: ...


def support_metrics(path: Path) -> dict[str, Tensor]:
    """First and last support loss of the inner loop, summed over tasks."""
    if not path.losses:
        return {}
    return {
        "support_first": path.losses[0].detach().sum(), "support_last": path.losses[-1].detach().sum(),
    }


def sum_by_module(prior: Shrinkage, values: dict[str, Tensor]) -> Tensor:
    """Sum scalars `{name: []}` within each module, `[M]`."""
    out = torch.zeros_like(prior.log_sigma2)
    for name, v in values.items():
        module = prior.partition.index[prior.partition.module_of[name]]
        out = out.index_add(0, torch.tensor([module], device=out.device), v.reshape(1))
    return out
