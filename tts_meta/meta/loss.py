"""Network + criterion -> TaskLoss(params `{name: [T, ...]}`, batch `{key: [T, ...]}`) -> `[T]`.

Every parameter carries a leading task axis, only the forward is vmapped, and plain autograd does the rest: tasks are
independent, so the gradient of the summed losses is the stack of the tasks' gradients, and the same trick batches
Hessian-vector products. This is the only vmap of the code base.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from tts_meta.meta.task import Batch
from tts_meta.meta.tree import Tree


class TaskLoss(Protocol):
    """Negative log-likelihood of each task `[T]`, summed over its data (nats), of parameters `[T, ...]`."""

    def __call__(self, params: Tree, batch: Batch) -> Tensor: ...


@runtime_checkable
class NetLoss(Protocol):
    """A TaskLoss that also shows the network's outputs and its criterion."""

    def __call__(self, params: Tree, batch: Batch) -> Tensor: ...

    def outputs(self, params: Tree, batch: Batch) -> Tensor:
        """`[T, B, C]`."""
        ...

    def of_outputs(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The loss `[T]` of given outputs."""
        ...


class ModuleLoss:
    """TaskLoss of a torch module; parameters not in `params` keep the module's own values (frozen at phi).

    `criterion(outputs, batch)` gives one task's loss, a scalar in nats. `bf16` runs the forward under autocast.
    """

    def __init__(self, module: nn.Module, criterion: Callable[[Any, Batch], Tensor], bf16: bool = False) -> None:
        self.module = module
        self.criterion = criterion
        self.bf16 = bf16

    def _one(self, params: Tree, batch: Batch) -> Tensor:
        device = next(iter(batch.values())).device.type
        with torch.autocast(device, torch.bfloat16) if self.bf16 else nullcontext():
            out = functional_call(self.module, params, (batch,))
        return self.criterion(out, batch)

    def _map(self, one: Callable, params: Tree, batch: Batch) -> Tensor:
        if next(iter(batch.values())).shape[0] == 1:  # grouped convolutions of one group, and vmap's own cost, saved
            return one({k: v[0] for k, v in params.items()}, {k: v[0] for k, v in batch.items()}).unsqueeze(0)
        return vmap(one)(params, batch)

    def __call__(self, params: Tree, batch: Batch) -> Tensor:
        return self._map(self._one, params, batch)

    def outputs(self, params: Tree, batch: Batch) -> Tensor:
        """The network's outputs `[T, B, C]` of a module that returns one tensor."""
        return self._map(lambda p, b: functional_call(self.module, p, (b,)), params, batch)

    def of_outputs(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The criterion `[T]` of given outputs."""
        return vmap(self.criterion)(outputs, batch)


def grad_or_zero(
    outputs: Tensor | list[Tensor], inputs: list[Tensor], seeds: list[Tensor] | None = None, **how
) -> list[Tensor]:
    """autograd.grad whose missing derivatives are zeros (a parameter that the batch has no use for)."""
    found = torch.autograd.grad(outputs, inputs, seeds, allow_unused=True, **how)
    return [torch.zeros_like(v) if g is None else g for g, v in zip(found, inputs, strict=True)]


LARGE = 20_000
"""Numbers in one task's inputs from which a CPU takes first-order gradients a task at a time: together their activations
leave the caches, and each task alone needs no grouped convolution (75 Omniglot images: half the time)."""
_together = False


@contextmanager
def tasks_together() -> Iterator[None]:
    """Within it all tasks go at once, whatever their size: in a graph that is being made their slices are in the way."""
    global _together
    _together = True
    try:
        yield
    finally:
        _together = False


def gradient(
    loss: TaskLoss, params: Tree, batch: Batch, fixed: Tree | None = None, graph: bool = False
) -> tuple[Tensor, Tree]:
    """Losses `[T]` and their gradients `{name: [T, ...]}` with respect to `params`.

    `fixed` `{name: [T, ...]}` are parameters that do not move. With `graph` both stay differentiable in everything;
    without, they are detached.
    """
    first = next(iter(batch.values()))
    apart = not graph and not _together and first.device.type == "cpu" and first[0].numel() > LARGE
    if apart and first.shape[0] > 1:
        each = []
        for t in range(first.shape[0]):
            one, part, still = ({k: v[t : t + 1] for k, v in x.items()} for x in (params, batch, fixed or {}))
            each.append(gradient(loss, one, part, still))
        return torch.cat([e[0] for e in each]), {k: torch.cat([e[1][k] for e in each]) for k in params}
    leaves = params if graph else {k: v.detach().requires_grad_() for k, v in params.items()}
    losses = loss({**(fixed or {}), **leaves}, batch)
    grads = grad_or_zero(losses.sum(), list(leaves.values()), create_graph=graph)
    return losses if graph else losses.detach(), dict(zip(leaves, grads, strict=True))


def hvp_operator(loss: TaskLoss, params: Tree, batch: Batch, fixed: Tree | None = None) -> Callable[[Tree], Tree]:
    """v -> Hessian of each task's loss at `params` times v, `{name: [T, ...]}`: the one second-order primitive.

    The gradient's graph is built once and kept, so that a product costs one backward pass through it.
    """
    leaves = {k: v.detach().requires_grad_() for k, v in params.items()}
    total = loss({**(fixed or {}), **leaves}, batch).sum()
    grads = torch.autograd.grad(total, list(leaves.values()), create_graph=True, allow_unused=True)
    alive = [(k, g) for k, g in zip(leaves, grads, strict=True) if g is not None and g.requires_grad]

    def product(vector: Tree) -> Tree:
        if not alive:
            return {k: torch.zeros_like(v) for k, v in leaves.items()}
        outputs, seeds = [g for _, g in alive], [vector[k] for k, _ in alive]
        return dict(zip(leaves, grad_or_zero(outputs, list(leaves.values()), seeds, retain_graph=True), strict=True))

    return product


def hvp(loss: TaskLoss, params: Tree, batch: Batch, vector: Tree, fixed: Tree | None = None) -> Tree:
    """Hessian of each task's loss at `params` times `vector`, once."""
    return hvp_operator(loss, params, batch, fixed)(vector)
