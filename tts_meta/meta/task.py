"""What the learning core asks of a task, and how several become one batch with a leading task axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

Batch = dict[str, Tensor]


class Task(Protocol):
    """Support data for the inner steps and disjoint query data for the outer loss."""

    def support(self, step: int, rng: torch.Generator) -> Batch:
        """The batch of inner step `step`; a stochastic task scales its loss to the whole support set."""
        ...

    def query(self, rng: torch.Generator) -> Batch:
        """Data the inner loop never sees."""
        ...

    def whole_support(self) -> Batch:
        """All support data at once (curvature at the end of the inner loop needs a deterministic loss)."""
        ...


def stack(batches: Sequence[Batch]) -> Batch:
    """Batches of T tasks -> one batch `[T, ...]`, zero-padded where shapes differ (masks must say what is padding)."""
    if len(batches) == 1:
        return {k: v.unsqueeze(0) for k, v in batches[0].items()}
    out = {}
    for key in batches[0]:
        rows = [b[key] for b in batches]
        shape = [max(r.shape[d] for r in rows) for d in range(rows[0].dim())]
        whole = rows[0].new_zeros(len(rows), *shape)
        for i, r in enumerate(rows):
            whole[i][tuple(slice(n) for n in r.shape)] = r
        out[key] = whole
    return out


class Episodes(Protocol):
    """T tasks met together: every batch has a leading task axis."""

    @property
    def tasks(self) -> int: ...

    def support(self, step: int) -> Batch:
        """The batch of inner step `step`, `[T, ...]`."""
        ...

    def query(self) -> Batch: ...

    def whole_support(self) -> Batch: ...


class Stacked:
    """Episodes of single tasks, each with its two generators (support batches, query)."""

    def __init__(
        self, tasks: Sequence[Task], support_rngs: Sequence[torch.Generator], query_rngs: Sequence[torch.Generator]
    ) -> None:
        self.each, self.support_rngs, self.query_rngs = tasks, support_rngs, query_rngs

    @property
    def tasks(self) -> int:
        return len(self.each)

    def support(self, step: int) -> Batch:
        return stack([t.support(step, r) for t, r in zip(self.each, self.support_rngs, strict=True)])

    def query(self) -> Batch:
        return stack([t.query(r) for t, r in zip(self.each, self.query_rngs, strict=True)])

    def whole_support(self) -> Batch:
        return stack([t.whole_support() for t in self.each])
