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
    """x - y, name by name."""
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
    """The same values, cut off from how they were computed."""
    return {k: v.detach() for k, v in x.items()}


def flatten(tree: Tree, lead: int = 1) -> Tensor:
    """`{name: [*lead, ...]}` -> `[*lead, D]`; the first `lead` axes are kept."""
    return torch.cat([v.flatten(lead) for v in tree.values()], dim=lead)


def unflatten(flat: Tensor, like: Tree) -> Tree:
    """The inverse of `flatten`: `[*lead, D]` -> `{name: [*lead, ...]}` with the shapes of `like` `{name: [...]}`."""
    parts = flat.split([v.numel() for v in like.values()], dim=-1)
    return {k: part.reshape(*part.shape[:-1], *v.shape) for part, (k, v) in zip(parts, like.items(), strict=True)}


def prefixed(prefix: str, tree: Tree) -> Tree:
    """{name: v} -> {prefix/name: v}: trees live side by side in an algorithm's flat state."""
    return {f"{prefix}/{k}": v for k, v in tree.items()}


def pick(state: Tree, prefix: str) -> Tree:
    """The tree under `prefix` of a flat state."""
    return {k[len(prefix) + 1 :]: v for k, v in state.items() if k.startswith(prefix + "/")}


def randn_like(tree: Tree, rngs: list[torch.Generator]) -> Tree:
    """Standard normal noise `{name: [T, ...]}` for `{name: [...]}`, one generator a task: chunks draw the same numbers."""
    rows = [{k: torch.randn(v.shape, generator=r, dtype=v.dtype) for k, v in tree.items()} for r in rngs]
    return {k: torch.stack([row[k] for row in rows]).to(v.device) for k, v in tree.items()}
