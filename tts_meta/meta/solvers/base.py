"""The inner loop: minimise l_data(theta) + 1/2 |theta - phi|^2 / sigma^2 from theta0, by proximal steps.

The data term is stepped by its gradient, the prior by its exact proximal operator, so that a module may have any
sigma^2, however small (algorithms.md 1.6). A solver may run in whitened coordinates theta = phi + sigma * eps, where
the prior is N(0, I) and a module's step is proportional to its sigma. Both cases are one formula for d = theta - phi:

    d <- (d - rate * c * g) / (1 + rate * w),   (c, w) = (1, 1 / sigma^2) plain, (sigma^2, 1) whitened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from tts_meta.meta.loss import TaskLoss, gradient
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.task import Batch
from tts_meta.meta.tree import Tree


@dataclass
class Path:
    """Where the inner loop went: the last theta `{name: [T, ...]}`, the visited ones when kept, the losses `[K, T]`."""

    theta: Tree
    visited: list[Tree] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)


class Solver(Protocol):
    def init(self, theta: Tree) -> dict[str, Any]:
        """Optimiser state at theta: a dict of tensors, trees and numbers."""
        ...

    def step(self, theta: Tree, grad: Tree, phi: Tree, prior: Shrinkage, state: dict[str, Any]) -> Tree:
        """One proximal step; `grad` is that of the data term alone; `state` is updated in place."""
        ...


def solve(
    solver: Solver,
    loss: TaskLoss,
    prior: Shrinkage,
    phi: Tree,
    theta: Tree,
    batches: Callable[[int], Batch],
    steps: int,
    keep: bool = False,
) -> Path:
    """Run `steps` inner steps from `theta` `{name: [T, ...]}`; `batches(k)` is the stacked support batch of step k."""
    path = Path(theta, state=solver.init(theta))
    for k in range(steps):
        losses, grad = gradient(loss, path.theta, batches(k))
        with torch.no_grad():
            path.theta = solver.step(path.theta, grad, phi, prior, path.state)
        path.losses.append(losses)
        if keep:
            path.visited.append(path.theta)
    return path
