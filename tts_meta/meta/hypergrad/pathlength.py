"""Leap (Flennerhag et al. 2019): shorten the path that gradient descent takes over the loss surface.

For the K segments theta_k -> theta_{k+1}, with f the loss and the next point held fixed ("pull forward"),

    energy: sum_k -(delta theta) - delta f grad f(theta_k)
    length: the same, each segment divided by sqrt(delta f^2 + |delta theta|^2).

A rise of the loss (delta f > 0) is counted as a fall, the paper's stabiliser. The last segment is counted too, which
takes one more evaluation of the loss at theta_K. Without the loss term the energy form is Reptile's displacement.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tts_meta.meta.hypergrad.base import Inner, MetaGrads, support_metrics
from tts_meta.meta.task import Episodes
from tts_meta.meta.tree import dot, per_task, sub


@dataclass(frozen=True)
class PathLength:
    """`length`: divide each segment by its length; `loss_term`: the loss is one more coordinate of the path."""

    length: bool = True
    loss_term: bool = True

    def __call__(self, inner: Inner, episodes: Episodes) -> MetaGrads:
        path = inner.solve(episodes, keep=True)
        tasks = episodes.tasks
        with torch.no_grad():
            last = inner.loss({**inner.fixed(tasks), **path.theta}, episodes.support(inner.steps))
            values = [*path.losses, last]
            total = {k: torch.zeros_like(v) for k, v in path.theta.items()}
            for k, grad in enumerate(path.grads):
                step = sub(path.visited[k + 1], path.visited[k])
                fall = -(values[k + 1] - values[k]).abs() if self.loss_term else torch.zeros_like(last)
                weight = torch.ones_like(last)
                if self.length:
                    squared = fall**2 + dot(step, step)
                    weight = squared.clamp(min=torch.finfo(squared.dtype).tiny).rsqrt()
                for n in total:
                    add = -step[n] - per_task(fall, grad[n]) * grad[n]
                    total[n] = total[n] + per_task(weight, add) * add
        d_phi = {k: v.sum(0) for k, v in total.items()} | {k: torch.zeros_like(v) for k, v in inner.frozen.items()}
        metrics = {**support_metrics(path), "support_end": last.detach().sum()}
        return MetaGrads.of(d_phi, torch.zeros_like(inner.prior.log_sigma2), tasks, metrics)
