"""What adaptation returns: something that predicts, whether it is a point, particles, samples or an amortised head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from tts_meta.meta.task import Batch
from tts_meta.meta.tree import Tree

Outputs = Callable[[Tree, Batch], Tensor]


class Posterior(Protocol):
    """What is known of a task's parameters after its support set."""

    def outputs(self, batch: Batch) -> Tensor:
        """Network outputs of every sample, `[S, T, B, C]`; S is 1 for a point."""
        ...


@dataclass(frozen=True)
class Samples:
    """S sets of parameters `{name: [T, ...]}`, complete; `network(params, batch)` gives `[T, B, C]`."""

    samples: Sequence[Tree]
    network: Outputs

    @torch.no_grad()
    def outputs(self, batch: Batch) -> Tensor:
        return torch.stack([self.network(s, batch) for s in self.samples])
