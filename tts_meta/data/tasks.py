"""Speakers as tasks: disjoint support and query utterances of one voice, aligned once by the frozen model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tts_meta.data.batch import Item, align, collate
from tts_meta.nets.acoustic import AcousticModel


@torch.no_grad()
def align_items(model: AcousticModel, items: Sequence[Item], batch: int = 16) -> list[Item]:
    """The items with durations found by the model's own aligner (monotonic alignment search)."""
    model.eval()
    aligned: dict[int, Item] = {}
    order = sorted(range(len(items)), key=lambda i: len(items[i].mel))
    for at in range(0, len(order), batch):
        group = order[at : at + batch]
        data = collate([replace(items[i], durations=None) for i in group], model.config.reduction)
        durations = align(model.aligner, data)
        for row, i in enumerate(group):
            aligned[i] = replace(items[i], durations=durations[row, : len(items[i].phones)].numpy())
    return [aligned[i] for i in range(len(items))]


@dataclass(frozen=True)
class SpeakerTask:
    """One speaker. A support batch is `clips` utterances drawn at random and weighed up to the whole support set, so
    that its loss is an unbiased estimate of the summed negative log-likelihood, whatever its size."""

    support_items: Sequence[Item]
    query_items: Sequence[Item]
    clips: int = 4
    reduction: int = 2
    device: str = "cpu"

    def _batch(self, items: Sequence[Item], weight: float) -> dict[str, Tensor]:
        batch = {**collate(items, self.reduction), "weight": torch.tensor(weight)}
        return {k: v.to(self.device) for k, v in batch.items()}

    def support(self, step: int, rng: torch.Generator) -> dict[str, Tensor]:
        n = len(self.support_items)
        if n <= self.clips:
            return self._batch(self.support_items, 1.0)
        chosen = torch.randperm(n, generator=rng)[: self.clips].tolist()
        items = [self.support_items[i] for i in chosen]
        total = sum(len(i.mel) for i in self.support_items)
        return self._batch(items, total / sum(len(i.mel) for i in items))

    def query(self, rng: torch.Generator) -> dict[str, Tensor]:
        return self._batch(self.query_items, 1.0)

    def whole_support(self) -> dict[str, Tensor]:
        return self._batch(self.support_items, 1.0)


def split_utterances(recordings: Sequence[str], support: int, query: int, rng: torch.Generator) -> tuple[list, list]:
    """Indices of support and query utterances: disjoint by recording where a speaker has more than one, else by piece.

    At least one of each; raises ValueError for a speaker with a single utterance.
    """
    if len(recordings) < 2:
        raise ValueError("a speaker with one utterance cannot be split into support and query")
    keys = list(dict.fromkeys(recordings))
    groups = [[i for i, r in enumerate(recordings) if r == key] for key in keys]
    if len(groups) == 1:
        groups = [[i] for i in groups[0]]
    order = [groups[i] for i in torch.randperm(len(groups), generator=rng).tolist()]
    wanted = min(query, max(1, len(recordings) // 3))
    held: list[int] = []
    while len(held) < wanted and len(order) > 1:
        held += order.pop()
    kept = [i for g in order for i in g]
    return sorted(kept[:support]), sorted(held[: max(query, 1)])
