"""The outer optimiser: torch's own optimisers, one for each group of the state's keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from tts_meta.meta.tree import Tree


@dataclass(frozen=True)
class Group:
    """`optimiser(params)` for the keys matching `match`; its rate falls by `decay` (none, linear or cosine, to 0 at the
    last meta-step); `clip` is the greatest norm of the group's gradient."""

    match: str
    optimiser: Callable[[list[Tensor]], torch.optim.Optimizer]
    decay: str = "none"
    clip: float | None = None

    def __post_init__(self) -> None:
        if self.decay not in DECAYS:
            raise ValueError(f"decay is {self.decay!r}; one of {sorted(DECAYS)} is expected.")


DECAYS: dict[str, Callable[[float], float]] = {
    "none": lambda share: 1.0,
    "linear": lambda share: 1 - share,
    "cosine": lambda share: 0.5 * (1 + math.cos(math.pi * share)),
}


class Outer:
    """Moves `state` in place. A key that no group matches stays; the first match wins.

    Raises ValueError when a group matches no key.
    """

    def __init__(self, groups: Mapping[str, Group], state: Tree, total_steps: int = 0) -> None:
        self.state, self.total_steps, self.step_count = state, total_steps, 0
        self.groups: list[tuple[Group, list[str], torch.optim.Optimizer, float]] = []
        taken: set[str] = set()
        for name, group in groups.items():
            keys = [k for k in state if k not in taken and fnmatchcase(k, group.match)]
            if not keys:
                raise ValueError(
                    f"The outer group {name!r} ({group.match}) matches no key of the state; there are "
                    f"{sorted({k.split('/')[0] for k in state})}."
                )
            taken |= set(keys)
            optimiser = group.optimiser([state[k] for k in keys])
            self.groups.append((group, keys, optimiser, float(optimiser.param_groups[0]["lr"])))

    @torch.no_grad()
    def step(self, grads: Tree, bounds: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """One step along mean gradients; `bounds` clamp keys to (lowest, highest)."""
        share = self.step_count / self.total_steps if self.total_steps else 0.0
        for group, keys, optimiser, rate in self.groups:
            optimiser.param_groups[0]["lr"] = rate * DECAYS[group.decay](min(share, 1.0))
            for k in keys:
                self.state[k].grad = grads[k].detach().clone()
            if group.clip:
                torch.nn.utils.clip_grad_norm_([self.state[k] for k in keys], group.clip)
            optimiser.step()
            optimiser.zero_grad()
            for k in keys:
                if k in bounds:
                    low, high = bounds[k]
                    self.state[k].copy_(torch.minimum(torch.maximum(self.state[k], low), high))
        self.step_count += 1

    def tensors(self) -> Tree:
        """The optimisers' state, flat: outer/<key>/<slot> and outer/step."""
        out = {"outer/step": torch.tensor(self.step_count)}
        for _, keys, optimiser, _ in self.groups:
            for k in keys:
                for slot, value in optimiser.state[self.state[k]].items():
                    if value is not None:
                        out[f"outer/{k}/{slot}"] = torch.as_tensor(value)
        return out

    def restore(self, tensors: Tree) -> None:
        """The inverse of `tensors`."""
        self.step_count = int(tensors["outer/step"])
        for _, keys, optimiser, _ in self.groups:
            for k in keys:
                prefix = f"outer/{k}/"
                slots = {n[len(prefix) :]: v.clone() for n, v in tensors.items() if n.startswith(prefix)}
                slots = {n: v for n, v in slots.items() if "/" not in n}
                if slots:
                    device = self.state[k].device
                    optimiser.state[self.state[k]] = {n: v if n == "step" else v.to(device) for n, v in slots.items()}
