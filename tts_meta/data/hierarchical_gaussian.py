"""The two synthetic experiments of "Modular Meta-Learning with Shrinkage" (workshop version, section 4.1).

theta ~ N(phi, diag sigma^2), observations x ~ N(mu(theta), diag xi^2). linear: M = 8, phi = 1, sigma = [8 x 4, 2 x 4],
xi = [8 x 4, 5 x 4, 1]. spiral: M = 10, phi = 2, sigma = [4 x 8, 8 x 2], xi = 10. mu is in nets/mlp.py (GaussianMean).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Experiment:
    """True phi, sigma and spread of observations xi, a number each per module."""

    phi: tuple[float, ...]
    sigma: tuple[float, ...]
    xi: tuple[float, ...]


EXPERIMENTS = {
    "linear": Experiment((1.0,) * 8, (8.0,) * 4 + (2.0,) * 4, (8.0,) * 4 + (5.0,) * 4 + (1.0,)),
    "spiral": Experiment((2.0,) * 10, (4.0,) * 8 + (8.0,) * 2, (10.0,) * 10),
}


def noise_floor(kind: str) -> float:
    """Expected loss per observation at the true theta: half the number of observed dimensions."""
    return len(EXPERIMENTS[kind].xi) / 2


def linear_table(n: int) -> dict[str, float]:
    """The linear experiment in closed form: expected test loss per observation with n training observations.

    none: at phi; mle: converged Reptile; single: the best one sigma; modular: the true sigmas; that sigma.
    """


    e = EXPERIMENTS["linear"]
    m = len(e.phi)
    rows = torch.cat([torch.eye(m), torch.full((1, m), m**-0.5)]).double()
    weight = torch.tensor(e.xi).double() ** -2
    info = rows.T @ (weight[:, None] * rows)
    spread = torch.diag(torch.tensor(e.sigma).double() ** 2)

    def at(precision: Tensor) -> float:
        a = torch.linalg.inv(n * info + precision)  # theta_hat - theta = a (n info e - precision (theta - phi))
        cov = a @ (n * info + precision @ spread @ precision) @ a
        return noise_floor("linear") + 0.5 * float((info * cov).sum())

    eye = torch.eye(m).double()
    sigmas = torch.linspace(2, 12, 1001).tolist()
    single = [at(eye / s**2) for s in sigmas]
    best = min(range(len(single)), key=single.__getitem__)
    return {
        "none": noise_floor("linear") + 0.5 * float((info * spread).sum()), "mle": at(eye * 0),
        "single": single[best], "single_sigma": sigmas[best], "modular": at(torch.linalg.inv(spread)),
    }
