"""The one meta-training loop: draw tasks -> inner loops -> MetaGrads -> outer step -> log -> checkpoint.

Tasks are drawn from (seed, meta-step, position), so the same tasks are met whatever the number of ranks, the chunk
size, or a kill in between; ranks share the tasks of a meta-step and add their MetaGrads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tts_meta.meta.hypergrad.base import Hypergradient, MetaGrads
from tts_meta.meta.loss import TaskLoss
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.ranks import sum_over_ranks
from tts_meta.meta.solvers.base import Solver, solve
from tts_meta.meta.task import Task, stack
from tts_meta.meta.tree import Tree, expand


@dataclass
class OuterConfig:
    """The outer optimiser: phi by plain descent (Reptile's epsilon), log sigma^2 by Adam (scale-free, 1.7)."""

    phi_rate: float = 0.1
    log_sigma2_rate: float = 0.1
    beta1: float = 0.8
    beta2: float = 0.95
    tasks: int = 4
    tasks_per_chunk: int = 1
    inner_steps: int = 100
    whole_support: bool = False  # the implicit gradient needs it


class MetaTrainer:
    """State (all flat tensors, see `tensors`): phi, log sigma^2, Adam's moments of log sigma^2, the meta-step.

    `draw(step, position)` gives one task. `floor`, `ceiling` `[M]` clamp log sigma^2 (inf = none).
    """

    def __init__(
        self,
        loss: TaskLoss,
        prior: Shrinkage,
        phi: Tree,
        draw: Callable[[int, int], Task],
        solver: Solver,
        hypergrad: Hypergradient,
        cfg: OuterConfig,
        rank: int = 0,
        world: int = 1,
        floor: Tensor | None = None,
        ceiling: Tensor | None = None,
        seed: int = 0,
    ) -> None:
        self.loss, self.prior, self.draw, self.solver, self.hypergrad = loss, prior, draw, solver, hypergrad
        self.cfg, self.rank, self.world, self.seed = cfg, rank, world, seed
        self.phi = {k: v.detach().clone() for k, v in phi.items()}
        self.floor, self.ceiling = floor, ceiling
        self.m = torch.zeros_like(prior.log_sigma2)
        self.v = torch.zeros_like(prior.log_sigma2)
        self.step_count = 0

    def rng(self, position: int, purpose: int) -> torch.Generator:
        """The generator of one task of this meta-step."""
        generator = torch.Generator()
        generator.manual_seed(((self.seed * 1_000_003 + self.step_count) * 10_007 + position) * 7 + purpose)
        return generator

    def _chunk(self, positions: list[int]) -> MetaGrads:
        tasks = [self.draw(self.step_count, p) for p in positions]
        rngs = [self.rng(p, 0) for p in positions]
        theta = expand(self.phi, len(tasks))
        path = solve(
            self.solver, self.loss, self.prior, self.phi, theta,
            lambda k: stack([t.support(k, r) for t, r in zip(tasks, rngs, strict=True)]), self.cfg.inner_steps,
        )
        query = stack([t.query(self.rng(p, 1)) for t, p in zip(tasks, positions, strict=True)])
        whole = stack([t.whole_support() for t in tasks]) if self.cfg.whole_support else None
        grads = self.hypergrad(path, self.loss, self.prior, self.phi, whole, query)
        if path.losses:
            grads.metrics["support_first"] = float(path.losses[0].sum())
            grads.metrics["support_last"] = float(path.losses[-1].sum())
        return grads

    def meta_grads(self) -> MetaGrads:
        """This meta-step's gradients over all its tasks and ranks (sums)."""
        mine = list(range(self.rank, self.cfg.tasks, self.world))
        total: MetaGrads | None = None
        for i in range(0, len(mine), self.cfg.tasks_per_chunk):
            found = self._chunk(mine[i : i + self.cfg.tasks_per_chunk])
            total = found if total is None else total.add(found)
        if total is None:
            raise ValueError(f"{self.cfg.tasks} tasks cannot be shared by {self.world} ranks; give each at least one.")
        keys = sorted(total.metrics)
        numbers = torch.tensor([float(total.tasks), *(total.metrics[k] for k in keys)], dtype=torch.float64)
        sum_over_ranks([*total.phi.values(), total.log_sigma2])
        sum_over_ranks([numbers])
        metrics = dict(zip(keys, numbers[1:].tolist(), strict=True))
        return MetaGrads(total.phi, total.log_sigma2, int(numbers[0]), metrics)

    def step(self) -> dict[str, float]:
        """One meta-step; returns means over its tasks."""
        grads = self.meta_grads()
        c = self.cfg
        self.step_count += 1
        with torch.no_grad():
            for name, p in self.phi.items():
                p.sub_(c.phi_rate * grads.phi[name] / grads.tasks)
            g = grads.log_sigma2 / grads.tasks
            self.m = c.beta1 * self.m + (1 - c.beta1) * g
            self.v = c.beta2 * self.v + (1 - c.beta2) * g * g
            m = self.m / (1 - c.beta1**self.step_count)
            v = self.v / (1 - c.beta2**self.step_count)
            new = self.prior.log_sigma2 - c.log_sigma2_rate * m / (v.sqrt() + 1e-12)
            if self.floor is not None:
                new = torch.maximum(new, self.floor)
            if self.ceiling is not None:
                new = torch.minimum(new, self.ceiling)
            self.prior = self.prior.with_log_sigma2(new)
        return {k: v / grads.tasks for k, v in grads.metrics.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Everything a resumed run needs, as flat tensors."""
        return {
            **{f"phi/{k}": v for k, v in self.phi.items()}, "log_sigma2": self.prior.log_sigma2,
            "outer/m": self.m, "outer/v": self.v, "outer/step": torch.tensor(self.step_count),
        }

    def restore(self, tensors: dict[str, Any]) -> None:
        """The inverse of `tensors`."""
        for k in self.phi:
            self.phi[k] = tensors[f"phi/{k}"].clone().to(self.phi[k].device)
        device = self.m.device
        self.prior = self.prior.with_log_sigma2(tensors["log_sigma2"].clone().to(device))
        self.m, self.v = tensors["outer/m"].clone().to(device), tensors["outer/v"].clone().to(device)
        self.step_count = int(tensors["outer/step"])
