"""Algebra on dicts of tensors whose every value carries a leading task axis `[T, ...]`."""

from __future__ import annotations

import torch
from torch import Tensor

Tree = dict[str, Tensor]


def expand(tree: Tree, tasks: int) -> Tree:
    """Give every tensor `[...]` a leading task axis `[T, ...]` without copying."""
    return {k: v.unsqueeze(0).expand(tasks, *v.shape) for k, v in tree.items()}


def axpy(a: float | Tensor, x: Tree, y: Tree) -> Tree:
    """a x + y; `a` is a number or one number a task `[T]`."""
    return {k: per_task(a, x[k]) * x[k] + y[k] for k in y}


def per_task(a: float | Tensor, like: Tensor) -> float | Tensor:
    """`[T]` reshaped so that it multiplies `[T, ...]`; a plain number as it is."""
    return a.reshape(-1, *[1] * (like.dim() - 1)) if isinstance(a, Tensor) and a.dim() == 1 else a


def sub(x: Tree, y: Tree) -> Tree:
    return {k: x[k] - y[k] for k in x}


def dot(x: Tree, y: Tree) -> Tensor:
    """Inner product of each task, `[T]`."""
    parts = [(x[k] * y[k]).flatten(1).sum(1) for k in x]
    return torch.stack(parts).sum(0)


def norm(x: Tree) -> Tensor:
    """Euclidean norm of each task, `[T]`."""
    return dot(x, x).sqrt()


def mean(x: Tree) -> Tree:
    """Mean over the task axis: `[T, ...]` -> `[...]`."""
    return {k: v.mean(0) for k, v in x.items()}


def detach(x: Tree) -> Tree:
    return {k: v.detach() for k, v in x.items()}
