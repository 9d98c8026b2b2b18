"""What a few-shot domain gives a run: networks and losses, episodes, and how well a posterior does on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tts_meta.data.episodes import FewShot
from tts_meta.errors import InputError
from tts_meta.meta.loss import ModuleLoss
from tts_meta.meta.posterior import Posterior
from tts_meta.meta.task import Batch, Episodes
from tts_meta.meta.trainer import task_rng
from tts_meta.meta.tree import Tree

TEST_SEED = 7_777
"""Seed of validation and test tasks: the same ones for every algorithm."""


Adapt = Callable[[Episodes, Sequence[torch.Generator], Sequence[int]], dict[int, Posterior]]
"""A trained algorithm: episodes, a generator a task, numbers of inner steps -> the posterior after each."""


class Domain:
    """`fresh(i)` is the network's i-th random initialisation."""

    loss: ModuleLoss
    fresh: Callable[[int], Tree]
    measures: tuple[str, ...]
    """Names of what `measure` gives; the first is the one to report."""
    better: str
    """lower or higher: which way the first measure is good."""
    device = torch.device("cpu")
    """Where the tasks lie; another one only where `devices` says so."""
    devices = False

    def draw(self, step: int, positions: Sequence[int]) -> Episodes:
        """Training tasks at `positions` of meta-step `step`: the same ones however they are shared out."""
        raise NotImplementedError

    def test(self, split: str, first: int, count: int) -> Episodes:
        """The tasks number first ... first + count - 1 of `split` (val, test): the same ones for every algorithm."""
        raise NotImplementedError

    def measure(self, posterior: Posterior, episodes: Episodes) -> dict[str, Tensor]:
        """Each of `measures` on the query data, `[T]`."""
        raise NotImplementedError

    def calibrate(self, adapt: Adapt, report: int, seed: int) -> None:
        """Fit what the measures need (a predictive noise) after `report` inner steps on validation tasks; nothing here."""

    def draw_pictures(self, adapt: Adapt, report: int, folder: Path) -> None:
        """Pictures of the domain's own into a run's folder; none here."""


class Network:
    """A domain's network: its loss, random initialisations, and the extras that some algorithms need by name."""

    def __init__(self, build: Callable[[], nn.Module], criterion: Callable[[Any, Batch], Tensor], seed: int = 0) -> None:
        self.build, self.seed = build, seed
        self.module = self._make(0)
        self.loss = ModuleLoss(self.module, criterion)

    def _make(self, i: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed * 1000 + i)
            return self.build()

    def fresh(self, i: int) -> Tree:
        """Parameters `{name: [...]}` of the i-th random initialisation."""
        return {k: v.detach() for k, v in self._make(i).named_parameters()}


def choose(kind: str, builders: Mapping[str, Callable[[], nn.Module]], domain: str) -> Callable[[], nn.Module]:
    """The builder of a kind of network; InputError when the domain has none of that kind."""
    if kind not in builders:
        raise InputError(f"{domain} has no {kind!r} network, only {sorted(builders)}: this algorithm does not fit it.")
    return builders[kind]


def rngs_of(seed: int, step: int, positions: Sequence[int], purpose: int) -> list[torch.Generator]:
    """A generator of each position of a step, for a purpose."""
    return [task_rng(seed, step, p, purpose) for p in positions]


def pile(rows: Sequence[tuple[Batch, Batch]], rngs: Sequence[torch.Generator], inner_batch: int | None) -> FewShot:
    """Episodes of (support, query) pairs."""
    support, query = ({k: torch.stack([r[i][k] for r in rows]) for k in rows[0][i]} for i in (0, 1))
    return FewShot(support, query, rngs, inner_batch)
