"""The one meta-training loop: draw tasks -> MetaGrads -> outer optimiser -> log -> checkpoint.

Tasks are drawn from (seed, meta-step, position), so the same tasks are met whatever the number of ranks, the chunk
size, or a kill in between; ranks share the tasks of a meta-step and add their MetaGrads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from tts_meta.meta.hypergrad.base import MetaGrads
from tts_meta.meta.outer import Group, Outer
from tts_meta.meta.ranks import sum_over_ranks
from tts_meta.meta.task import Episodes
from tts_meta.meta.tree import Tree, pick


class Learner(Protocol):
    """What the loop asks of an `Algorithm`."""

    def meta_grads(self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator]) -> MetaGrads: ...


Draw = Callable[[int, Sequence[int]], Episodes]
"""`draw(step, positions)`: the tasks at these positions of a meta-step."""


def task_rng(seed: int, step: int, position: int, purpose: int = 0) -> torch.Generator:
    """The generator of one task of one meta-step; different purposes draw different numbers."""
    generator = torch.Generator()
    generator.manual_seed(((seed * 1_000_003 + step) * 10_007 + position) * 7 + purpose)
    return generator


class MetaTrainer:
    """Moves an algorithm's `state` (a flat dict of tensors; a copy is made) by its gradients.

    `tasks` a meta-step, `tasks_per_chunk` of them at once; `bounds` clamp keys of the state to (lowest, highest).
    """

    def __init__(
        self,
        algorithm: Learner,
        state: Tree,
        draw: Draw,
        outer: Mapping[str, Group],
        tasks: int = 4,
        tasks_per_chunk: int = 1,
        meta_steps: int = 0,
        rank: int = 0,
        world: int = 1,
        bounds: Mapping[str, tuple[Tensor, Tensor]] | None = None,
        seed: int = 0,
    ) -> None:
        if tasks < world:
            raise ValueError(f"{tasks} tasks cannot be shared by {world} ranks; give each at least one.")
        self.algorithm, self.draw, self.tasks, self.tasks_per_chunk = algorithm, draw, tasks, tasks_per_chunk
        self.rank, self.world, self.bounds, self.seed = rank, world, dict(bounds or {}), seed
        self.state = {k: v.detach().clone() for k, v in state.items()}
        self.outer = Outer(outer, self.state, meta_steps)

    @property
    def step_count(self) -> int:
        return self.outer.step_count

    @property
    def phi(self) -> Tree:
        return pick(self.state, "phi")

    def meta_grads(self) -> MetaGrads:
        """This meta-step's gradients over all its tasks and ranks (sums)."""
        mine = list(range(self.rank, self.tasks, self.world))
        total: MetaGrads | None = None
        for i in range(0, len(mine), self.tasks_per_chunk):
            positions = mine[i : i + self.tasks_per_chunk]
            rngs = [task_rng(self.seed, self.step_count, p, 2) for p in positions]
            found = self.algorithm.meta_grads(self.state, self.draw(self.step_count, positions), rngs)
            total = found if total is None else total.add(found)
        assert total is not None
        keys = sorted(total.metrics)
        numbers = torch.tensor([float(total.tasks), *(float(total.metrics[k]) for k in keys)], dtype=torch.float64)
        sum_over_ranks(list(total.grads.values()))
        sum_over_ranks([numbers])
        metrics = dict(zip(keys, numbers[1:].tolist(), strict=True))
        return MetaGrads(total.grads, int(numbers[0]), metrics)

    def step(self) -> dict[str, float]:
        """One meta-step; returns means over its tasks. Raises FloatingPointError when the gradient is not finite."""
        found = self.meta_grads()
        bad = [k for k, v in found.grads.items() if not bool(torch.isfinite(v).all())]
        if bad:
            raise FloatingPointError(
                f"The meta-gradient of {', '.join(bad[:3])} is not finite at meta-step {self.step_count}; "
                "lower the inner or the outer rate."
            )
        self.outer.step({k: v / found.tasks for k, v in found.grads.items()}, self.bounds)
        return {k: float(v) / found.tasks for k, v in found.metrics.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Everything a resumed run needs, as flat tensors."""
        return {**self.state, **self.outer.tensors()}

    def restore(self, tensors: dict[str, Any]) -> None:
        """The inverse of `tensors`."""
        for k, v in self.state.items():
            v.copy_(tensors[k])
        self.outer.restore(tensors)
