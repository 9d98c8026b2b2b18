"""Few-shot episodes `[T, ...]` as the learning core asks for them (tts_meta/meta/task.py), made of whole tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

Batch = dict[str, Tensor]


@dataclass
class FewShot:
    """T tasks with all their support and query data. With `inner_batch`, every inner step draws that many support rows
    anew (without replacement; Reptile's mini-batches); their `weight` `[T]` scales a summed loss up to all of them."""

    support_batch: Batch
    query_batch: Batch
    rngs: Sequence[torch.Generator] = field(default_factory=list)
    inner_batch: int | None = None

    @property
    def tasks(self) -> int:
        return next(iter(self.support_batch.values())).shape[0]

    def to(self, device: torch.device) -> FewShot:
        """The same episodes with their batches on `device`. Rows are drawn by generators of the CPU: the same ones wherever."""
        support, query = ({k: v.to(device) for k, v in b.items()} for b in (self.support_batch, self.query_batch))
        return replace(self, support_batch=support, query_batch=query)

    def support(self, step: int) -> Batch:
        rows = next(iter(self.support_batch.values())).shape[1]
        if self.inner_batch is None or self.inner_batch >= rows:
            return self.support_batch
        chosen = torch.stack([torch.randperm(rows, generator=r)[: self.inner_batch] for r in self.rngs])
        task = torch.arange(self.tasks)[:, None]
        weight = torch.full((self.tasks,), rows / self.inner_batch, device=next(iter(self.support_batch.values())).device)
        return {k: v[task, chosen] for k, v in self.support_batch.items()} | {"weight": weight}

    def query(self) -> Batch:
        return self.query_batch

    def whole_support(self) -> Batch:
        return self.support_batch
