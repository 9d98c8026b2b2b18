"""Linear-Gaussian tasks y = X theta + noise with every answer in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tts_meta.meta.hypergrad.base import Inner
from tts_meta.meta.partition import Partition
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.solvers.base import Path
from tts_meta.meta.solvers.gd import ProximalGD

SIZES = {"a": 3, "b": 3, "c": 3, "d": 3}


@dataclass
class Tasks:
    """T tasks `[T, N, D]`; module m is parameter m of SIZES; noise s known."""

    x: torch.Tensor
    y: torch.Tensor
    xq: torch.Tensor
    yq: torch.Tensor
    s: float
    theta: torch.Tensor

    def batch(self, query: bool = False) -> dict:
        return {"x": self.xq if query else self.x, "y": self.yq if query else self.y}


def make(seed: int, tasks: int, n: int, sigma: tuple, s: float = 0.5, nq: int | None = None, phi=None) -> Tasks:
    g = torch.Generator().manual_seed(seed)
    d = sum(SIZES.values())
    nq = nq or n
    spread = torch.cat([torch.full((k,), v) for k, v in zip(SIZES.values(), sigma, strict=True)]).double()
    mean = torch.zeros(d).double() if phi is None else phi
    theta = mean + spread * torch.randn(tasks, d, generator=g, dtype=torch.float64)
    x, xq = (torch.randn(tasks, k, d, generator=g, dtype=torch.float64) for k in (n, nq))

    def noisy(x):
        noise = torch.randn(x.shape[:2], generator=g, dtype=torch.float64)
        return torch.einsum("tnd,td->tn", x, theta) + s * noise

    return Tasks(x, noisy(x), xq, noisy(xq), s, theta)


def loss(s: float):
    """TaskLoss: squared error / (2 s^2), summed over data."""

    def task_loss(params, batch):
        theta = torch.cat([params[k] for k in SIZES], dim=1)
        error = torch.einsum("tnd,td->tn", batch["x"], theta) - batch["y"]
        return 0.5 * (error**2).sum(1) / s**2

    return task_loss


def partition() -> Partition:
    return Partition({k: [k] for k in SIZES}, SIZES)


def prior(sigma: tuple) -> Shrinkage:
    return Shrinkage(partition(), 2 * torch.tensor(sigma, dtype=torch.float64).log())


def split(flat: torch.Tensor) -> dict:
    """`[..., D]` -> {module: [..., D_m]}."""
    return dict(zip(SIZES, flat.split(list(SIZES.values()), dim=-1), strict=True))


def join(tree: dict) -> torch.Tensor:
    return torch.cat([tree[k] for k in SIZES], dim=-1)


def precision(sigma2: torch.Tensor) -> torch.Tensor:
    """Diagonal of P `[D]` from sigma^2 `[M]`; differentiable."""
    return torch.cat([(1 / v).expand(k) for k, v in zip(SIZES.values(), sigma2, strict=True)])


def map_estimate(x, y, s, phi, log_sigma2):
    """theta_hat = A^-1 (X'y / s^2 + P phi), A = X'X / s^2 + P, one task; differentiable in phi and log_sigma2."""
    p = precision(log_sigma2.exp())
    a = x.T @ x / s**2 + torch.diag(p)
    return torch.linalg.solve(a, x.T @ y / s**2 + p * phi)


def solve(solver, loss, prior, phi, theta, batches, steps, **more) -> Path:
    return solver.solve(loss, prior, phi, theta, batches, steps, **more)


def at(hypergrad, path, loss, prior, phi, support, query, rngs=()):
    """The hypergradient at a given end of the inner loop."""
    return hypergrad.at(path, Inner(loss, prior, phi, {}, ProximalGD(0.1), 0, rngs), support, query)
