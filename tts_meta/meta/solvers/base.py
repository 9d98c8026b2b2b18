"""The inner loop: minimise l_data(theta) + 1/2 |theta - phi|^2 / sigma^2 from theta0.

The data term is stepped by its gradient, the prior by its exact proximal operator (Parikh & Boyd 2014, section 4.2), so
that a module may have any sigma^2, however small. A solver may run in whitened coordinates theta = phi + sigma * eps, where
the prior is N(0, I) and a module's step is proportional to its sigma. Both cases are one formula for d = theta - phi:

    d <- (d - rate * c * g) / (1 + rate * w),   (c, w) = (1, 1 / sigma^2) plain, (sigma^2, 1) whitened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tts_meta.meta.loss import TaskLoss, gradient
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.task import Batch
from tts_meta.meta.tree import Tree, flatten, unflatten


@dataclass
class Path:
    """Where the inner loop went: the last theta `{name: [T, ...]}` and the losses `[T]` before every step.

    `state` is the optimiser's after the last step. When kept: `visited` theta_0 ... theta_K, `grads` of the data term at
    theta_0 ... theta_{K-1}, and `states`, the optimiser's state before every step.
    """

    theta: Tree
    state: dict[str, Any] = field(default_factory=dict)
    losses: list[Tensor] = field(default_factory=list)
    visited: list[Tree] = field(default_factory=list)
    grads: list[Tree] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)


class Solver:
    """The loop of inner steps; a solver gives `move`. `differentiable` says whether the loop may keep its graph."""

    differentiable = True

    def init(self, theta: Tree) -> dict[str, Any]:
        """Optimiser state at theta: a dict of trees and numbers."""
        return {}

    def move(
        self, loss: TaskLoss, prior: Shrinkage, phi: Tree, theta: Tree, batch: Batch, losses: Tensor, grad: Tree,
        state: dict[str, Any], fixed: Tree,
    ) -> Tree:
        """theta after one step on `batch`, whose data losses `[T]` and gradient at theta are given."""
        raise NotImplementedError

    def solve(
        self,
        loss: TaskLoss,
        prior: Shrinkage,
        phi: Tree,
        theta: Tree,
        batches: Callable[[int], Batch],
        steps: int,
        fixed: Tree | None = None,
        keep: bool = False,
        graph: bool = False,
        watch: Callable[[int, Tree], None] | None = None,
    ) -> Path:
        """`steps` inner steps from `theta` `{name: [T, ...]}`; `batches(k)` is the support batch `[T, ...]` of step k.

        `phi` `{name: [...]}` is the prior's centre, `fixed` `{name: [T, ...]}` the parameters that do not move. `keep`
        fills the path's lists; with `graph` everything stays differentiable; `watch(k, theta)` sees theta_0 ... theta_K.
        Raises ValueError for `graph` with a solver that has no derivative.
        """
        if graph and not self.differentiable:
            raise ValueError(
                f"{type(self).__name__} cannot be differentiated through; use the implicit hypergradient with it."
            )
        state = self.init(theta)
        path = Path(theta, state)
        for k in range(steps + 1):
            if watch:
                watch(k, path.theta)
            if keep:
                path.visited.append(path.theta)
            if k == steps:
                break
            batch = batches(k)
            losses, grad = gradient(loss, path.theta, batch, fixed, graph)
            if keep:
                path.grads.append(grad)
                path.states.append(copy_state(state))
            with nullcontext() if graph else torch.no_grad():
                path.theta = self.move(loss, prior, phi, path.theta, batch, losses, grad, state, fixed or {})
            path.losses.append(losses)
        return path


class Stepping(Solver):
    """A solver whose step is a function of the gradient and its own state alone."""

    def step(self, theta: Tree, grad: Tree, phi: Tree, prior: Shrinkage, state: dict[str, Any]) -> Tree:
        """One proximal step, differentiable; `grad` is that of the data term alone; `state` gets new entries."""
        raise NotImplementedError

    def move(
        self, loss: TaskLoss, prior: Shrinkage, phi: Tree, theta: Tree, batch: Batch, losses: Tensor, grad: Tree,
        state: dict[str, Any], fixed: Tree,
    ) -> Tree:
        return self.step(theta, grad, phi, prior, state)


def copy_state(state: dict[str, Any]) -> dict[str, Any]:
    """A copy whose trees can be given new entries; tensors are never changed in place."""
    return {k: dict(v) if isinstance(v, dict) else v for k, v in state.items()}


def part_of_state(state: dict[str, Any], theta: Tree, names: Sequence[str]) -> dict[str, Any]:
    """An optimiser's state with only what belongs to `names` of `theta`'s parameters: trees by name, and vectors `[T, D]` of all
    of them one after another under `flat`."""

    def part(tree: Tree) -> Tree:
        if set(tree) == {"flat"}:
            return {"flat": flatten(pick_names(unflatten(tree["flat"], {n: v[0] for n, v in theta.items()}), names))}
        return pick_names(tree, names)

    return {k: part(v) if isinstance(v, dict) else v for k, v in state.items()}


def pick_names(tree: Tree, names: Sequence[str]) -> Tree:
    """Those of the tree's entries, in its own order."""
    return {n: v for n, v in tree.items() if n in names}
