"""What a clone moves, from where, under which prior, by which solver."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import torch

from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.adam import ProximalAdam
from tts_meta.meta.solvers.base import Stepping
from tts_meta.starters.interface import Network
from tts_meta.training.parts import build
from tts_meta.training.sigma_reptile import ADAM


@dataclass(frozen=True)
class Method:
    """`modules` move, under `prior` (infinite sigmas: none), after `together` steps only those that are `long`. With `rank` their
    weights move by low-rank updates."""

    modules: tuple[str, ...]
    prior: Shrinkage
    solver: Stepping
    rank: int = 0
    together: int | None = None
    long: tuple[str, ...] = ()


def shrinking(starter: Network, threshold: float | None = None, widened: bool = True) -> Method:
    """The modules that the starter moves, under its sigmas times their widths (as they were learned without `widened`);
    with `threshold` those whose relative sigma reaches it, under the sigmas as they were learned."""
    solver = build(starter.adaptation.need("solver"), ADAM)
    prior = starter.clone_prior if threshold is None and widened else starter.prior
    modules = tuple(starter.moved(threshold))
    long = tuple(m for m in modules if any(fnmatchcase(m, p) for p in starter.adaptation.long))
    return Method(modules, prior, solver, together=starter.adaptation.together if long else None, long=long)


def free(starter: Network, patterns: Sequence[str], rate: float, decay: float = 0.0, rank: int = 0) -> Method:
    """Modules by name pattern, by Adam without a prior. Raises ValueError for a pattern that no module matches."""
    modules = starter.partition.modules
    for p in patterns:
        if not any(fnmatchcase(m, p) for m in modules):
            raise ValueError(f"No module of the starter matches {p!r}; there are {', '.join(modules[:8])}, ...")
    none = Shrinkage(starter.partition, torch.full_like(starter.prior.log_sigma2, math.inf))
    chosen = tuple(m for m in modules if any(fnmatchcase(m, p) for p in patterns))
    return Method(chosen, none, ProximalAdam(rate, whiten=False, decay=decay), rank)


def choose_method(starter: Network, name: str) -> Method:
    """`sigma`: the starter's modules under its prior. `learned`: the same under sigma as meta-training left it. `embedding`: the
    speaker embedding alone (SEA-Emb). `all`: every weight, no prior. The rates of the last two were chosen on training speakers.
    """
    if name == "sigma":
        return shrinking(starter)
    if name == "learned":
        return replace(shrinking(starter), prior=starter.learned_prior)
    patterns = {"embedding": starter.adaptation.embedding, "all": ["*"]}
    if name in patterns:
        return free(starter, patterns[name], starter.adaptation.need(f"{name}_rate"))
    raise ValueError(f"method is {name!r}; sigma, learned, embedding or all is expected.")
