"""Stein variational gradient descent (Liu & Wang 2016) on M particles a task.

    theta_i += rate (1/M) sum_j [k(theta_j, theta_i) grad log p(theta_j) + grad_{theta_j} k(theta_j, theta_i)],
    k(x, y) = exp(-|x - y|^2 / h),   h = median^2 / log M,

the median over the distances of different particles (a matrix with its zero diagonal has a smaller one), no gradient
through h. One particle is gradient ascent.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def bandwidth(x: Tensor) -> Tensor:
    """h of each task, `[T]`, for particles `[T, M, D]`; 1 for a single particle or particles at one point."""
    m = x.shape[1]
    if m == 1:
        return x.new_ones(x.shape[0])
    with torch.no_grad():
        above = torch.triu_indices(m, m, offset=1)
        distance = (x[:, above[0]] - x[:, above[1]]).norm(dim=2)
        # The mean of the two middle values, as statistics has it (torch.median takes the lower one).
        median = distance.quantile(0.5, dim=1)
        return torch.where(median > 0, median**2 / math.log(m), torch.ones_like(median))


def direction(x: Tensor, score: Tensor, h: Tensor | None = None) -> Tensor:
    """The particles' direction of ascent `[T, M, D]` for their scores grad log p `[T, M, D]`; `h` `[T]` fixes the kernel."""
    m = x.shape[1]
    h = (bandwidth(x) if h is None else h)[:, None, None]
    if m == 1:
        return score
    between = x[:, :, None] - x[:, None]  # [T, j, i, D]: x_j - x_i
    k = (-(between**2).sum(3) / h).exp()  # [T, j, i]
    drive = k.transpose(1, 2) @ score
    repulsion = (-2 / h[..., None] * between * k[..., None]).sum(1)  # sum over j of the kernel's own gradient
    return (drive + repulsion) / m
