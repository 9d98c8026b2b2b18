"""The algorithms made of a partition, a prior, a solver and a way to differentiate it.

MAML, FO-MAML, ANIL, Reptile, Leap, iMAML, sigma-MAML, sigma-iMAML, sigma-Reptile and joint MAP differ only in these
four parts; configs/algorithm names them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch

from tts_meta.meta.algorithms.base import Fresh
from tts_meta.meta.hypergrad.base import Hypergradient, Inner, MetaGrads
from tts_meta.meta.hypergrad.displacement import Displacement
from tts_meta.meta.loss import NetLoss
from tts_meta.meta.partition import FROZEN, Partition
from tts_meta.meta.posterior import Posterior, Samples
from tts_meta.meta.prior import Shrinkage, module_rms
from tts_meta.meta.solvers.adam import ProximalAdam
from tts_meta.meta.solvers.base import Solver
from tts_meta.meta.task import Episodes
from tts_meta.meta.tree import Tree, pick, prefixed


@dataclass
class Gradient:
    """State: phi/<name>, log_sigma2 `[M]`, and log_rate `[M]` when the rates are learned.

    sigma_m starts at `sigma` (inf: no prior), or at `relative` times the RMS of phi_m. `floor` and `ceiling` clamp a
    learned sigma_m / RMS(phi_m). With `carried` the second moments of the inner Adam go on from task to task, as `moments`
    `[D + 1]` of the state (the authors' code of Reptile: `VariableState` holds the weights alone).
    """

    loss: NetLoss
    partition: Callable[[Iterable[str]], Partition]
    solver: Solver
    hypergrad: Hypergradient
    steps: int
    sigma: float = math.inf
    relative: float | None = None
    floor: float = 1e-4
    ceiling: float = 10.0
    learn_rates: bool = False
    carried: bool = False
    parts: Partition | None = field(default=None, init=False)
    known_flat: bool | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.carried and not (isinstance(self.solver, ProximalAdam) and self.hypergrad == Displacement("none")):
            raise ValueError("Second moments are carried from task to task by Adam under Reptile's displacement alone.")

    def init(self, fresh: Fresh) -> Tree:
        phi = {k: v.detach().clone() for k, v in fresh(0).items()}
        parts = self.partition(list(phi))
        like = next(iter(phi.values()))
        rms = module_rms(parts, phi).to(like)
        log_sigma2 = torch.full_like(rms, 2 * math.log(self.sigma) if self.relative is None else 0.0)
        if self.relative is not None:
            log_sigma2 = 2 * (self.relative * rms).log()
        state = {**prefixed("phi", phi), "log_sigma2": log_sigma2}
        if self.learn_rates:
            state["log_rate"] = torch.zeros_like(log_sigma2)
        if self.carried:
            moved = sum(v.numel() for k, v in phi.items() if parts.module_of[k] != FROZEN)
            state["moments"] = log_sigma2.new_zeros(moved + 1)
        return state

    def bounds(self, state: Tree) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Clamps of the learned sigma: {key: (lowest, highest)}."""
        if self.relative is None:
            return {}
        rms = module_rms(self.names(state), pick(state, "phi")).to(state["log_sigma2"])
        return {"log_sigma2": (2 * (self.floor * rms).log(), 2 * (self.ceiling * rms).log())}

    def names(self, state: Tree) -> Partition:
        if self.parts is None:
            self.parts = self.partition(list(pick(state, "phi")))
        return self.parts

    def inner(self, state: Tree, steps: int | None = None) -> Inner:
        phi, parts = pick(state, "phi"), self.names(state)
        free = {k: v for k, v in phi.items() if parts.module_of[k] != FROZEN}
        frozen = {k: v for k, v in phi.items() if parts.module_of[k] == FROZEN}
        prior = Shrinkage(parts, state["log_sigma2"], state.get("log_rate"), self.known_flat)
        solver = self.solver
        if self.carried:
            assert isinstance(solver, ProximalAdam)
            solver = replace(solver, start=state["moments"])
        return Inner(self.loss, prior, free, frozen, solver, self.steps if steps is None else steps)

    def meta_grads(self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator]) -> MetaGrads:
        return self.hypergrad(replace(self.inner(state), rngs=rngs), episodes)

    def adapt(
        self, state: Tree, episodes: Episodes, rngs: Sequence[torch.Generator], at: Sequence[int]
    ) -> dict[int, Posterior]:
        inner = self.inner(state, max(at))
        fixed, found = inner.fixed(episodes.tasks), {}

        def watch(k: int, theta: Tree) -> None:
            if k in at:
                found[k] = Samples([{**fixed, **theta}], self.loss.outputs)

        inner.solve(episodes, watch=watch)
        return dict(found)
