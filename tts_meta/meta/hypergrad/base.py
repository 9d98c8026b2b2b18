"""What every way of differentiating returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from tts_meta.meta.loss import TaskLoss
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.base import Path
from tts_meta.meta.task import Batch
from tts_meta.meta.tree import Tree


@dataclass
class MetaGrads:
    """Directions to descend, summed over the tasks: phi `{name: [...]}`, log sigma^2 `[M]`; numbers to log."""

    phi: Tree
    log_sigma2: Tensor
    tasks: int
    metrics: dict[str, float] = field(default_factory=dict)

    def add(self, other: MetaGrads) -> MetaGrads:
        return MetaGrads(
            {k: v + other.phi[k] for k, v in self.phi.items()},
            self.log_sigma2 + other.log_sigma2,
            self.tasks + other.tasks,
            {k: v + other.metrics[k] for k, v in self.metrics.items()},
        )


class Hypergradient(Protocol):
    def __call__(
        self, path: Path, loss: TaskLoss, prior: Shrinkage, phi: Tree, support: Batch | None, query: Batch
    ) -> MetaGrads: ...


def sum_by_module(prior: Shrinkage, values: dict[str, Tensor]) -> Tensor:
    """Sum scalars `{name: []}` within each module, `[M]`."""
    out = torch.zeros_like(prior.log_sigma2)
    for name, v in values.items():
        module = prior.partition.index[prior.partition.module_of[name]]
        out = out.index_add(0, torch.tensor([module], device=out.device), v.reshape(1))
    return out
