"""The shrinkage prior: theta_m ~ N(phi_m, sigma_m^2 I) for every module m (Chen et al. 2020, eq. 1).

sigma_m^2 = inf leaves a module free (MAML, Reptile), 0 freezes it, one fixed number for all is iMAML's 1 / lambda.
Trees are {name: [T, ...]} for theta and {name: [...]} for phi; sigma^2 lives in log, one number a module.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from tts_meta.meta.partition import Partition
from tts_meta.meta.tree import Tree


class Shrinkage:
    """`log_sigma2` `[M]` in the order of `partition.modules`; +inf and -inf are allowed.

    `log_rate` `[M]`, when given, multiplies a module's inner rate by its exponential (the learned rates of M-MAML in
    the workshop version).
    """

    def __init__(
        self, partition: Partition, log_sigma2: Tensor, log_rate: Tensor | None = None, known_flat: bool | None = None
    ) -> None:
        if log_sigma2.shape != (len(partition.modules),):
            raise ValueError(
                f"log_sigma2 has shape {tuple(log_sigma2.shape)}; one number for each of the "
                f"{len(partition.modules)} modules is expected."
            )
        self.partition = partition
        self.log_sigma2 = log_sigma2
        self.log_rate = log_rate
        self.known_flat = known_flat
        self._along: dict[tuple, Tensor] = {}

    @property
    def flat(self) -> bool:
        """Whether the prior says nothing: every sigma infinite and no learned rates. `known_flat` is the answer where the numbers
        cannot be asked, in a graph that is being traced."""
        if self.known_flat is not None:
            return self.known_flat
        return self.log_rate is None and bool((self.log_sigma2 == math.inf).all())

    def _of(self, name: str) -> Tensor:
        return self.log_sigma2[self.partition.index[self.partition.module_of[name]]]

    def variance(self, name: str) -> Tensor:
        """sigma_m^2 of the parameter's module, a scalar tensor."""
        return self._of(name).exp()

    def precision(self, name: str) -> Tensor:
        """1 / sigma_m^2."""
        return (-self._of(name)).exp()

    def rate(self, name: str) -> float | Tensor:
        """The learned multiplier of the module's inner rate; 1 without any."""
        if self.log_rate is None:
            return 1.0
        return self.log_rate[self.partition.index[self.partition.module_of[name]]].exp()

    def sigma(self, name: str) -> Tensor:
        return (0.5 * self._of(name)).exp()

    def distance(self, theta: Tree, phi: Tree) -> Tree:
        """|theta - phi|^2 / sigma^2 of each parameter and task, `{name: [T]}`.

        With sigma = 0 it is nothing (theta cannot differ from phi), with sigma = inf nothing either.
        """
        out = {}
        for name, t in theta.items():
            square = ((t - phi[name]) ** 2).flatten(1).sum(1)
            known = not math.isinf(float(self._of(name).detach()))
            out[name] = self.precision(name) * square if known else torch.zeros_like(square)
        return out

    def penalty(self, theta: Tree, phi: Tree) -> Tensor:
        """1/2 sum_m |theta_m - phi_m|^2 / sigma_m^2 of each task, `[T]` (nats, without the normaliser); see `distance`."""
        return 0.5 * torch.stack(list(self.distance(theta, phi).values())).sum(0)

    def log_density(self, theta: Tree, phi: Tree) -> Tensor:
        """log N(theta | phi, Sigma) of each task, `[T]`, with all constants; every sigma finite and positive."""
        constants = sum(phi[n].numel() * (math.log(2 * math.pi) + self._of(n)) for n in theta)
        return -self.penalty(theta, phi) - 0.5 * constants

    def along(self, theta: Tree, what: str) -> Tensor:
        """`sigma`, `precision` or `rate` of every coordinate of flatten(theta), `[D]`. Without a graph it is kept."""
        sizes = tuple((self.partition.index[self.partition.module_of[n]], t[0].numel()) for n, t in theta.items())
        keep = not torch.is_grad_enabled()
        if keep and (what, sizes) in self._along:
            return self._along[what, sizes]
        if what == "rate":
            assert self.log_rate is not None
            values = self.log_rate.exp()
        else:
            values = {"sigma": 0.5 * self.log_sigma2, "precision": -self.log_sigma2}[what].exp()
        found = torch.cat([values[m].expand(size) for m, size in sizes])
        if keep:
            self._along[what, sizes] = found
        return found

    def proximal(self, theta: Tree, at: Tensor, phi: Tensor, rate: Tensor) -> Tensor:
        """The exact proximal step of the penalty: argmin_x |x - at|^2 / (2 rate) + |x - phi|^2 / (2 sigma^2).

        = phi + (at - phi) / (1 + rate / sigma^2); stable for every sigma^2 (Parikh & Boyd 2014, section 6.1.1). `theta` names the
        coordinates of the vectors `at` `[T, D]`, `phi` `[D]` and `rate` `[T, D]` (Adam's effective step).
        """
        precision = self.along(theta, "precision")
        stuck = torch.isinf(precision)  # sigma = 0: exactly phi, and no derivative that is inf / inf
        return phi + torch.where(stuck, 0.0, (at - phi) / (1 + rate * torch.where(stuck, 1.0, precision)))

    def with_log_sigma2(self, log_sigma2: Tensor) -> Shrinkage:
        return Shrinkage(self.partition, log_sigma2, self.log_rate)


def module_distance(partition: Partition, deltas: Tree, modules: Iterable[str]) -> dict[str, float]:
    """|theta_m - phi_m| / sqrt(D_m) of each of `modules`, from the differences `{name: [...]}`: what sigma_m is a scale of."""
    return {m: root_mean_square(partition, deltas, m) for m in modules}


def root_mean_square(partition: Partition, tree: Tree, module: str) -> float:
    """Of all numbers that `{name: [...]}` has in a module."""
    members = [tree[n].detach() for n in partition.members(module)]
    return math.sqrt(sum(float((v.double() ** 2).sum()) for v in members) / sum(v.numel() for v in members))


def relative_sigma(prior: Shrinkage, phi: Tree, scale: dict[str, float] | None = None) -> Tensor:
    """sigma_m over the root mean square of phi_m, `[M]`: only this ratio can be compared between modules.

    `scale` replaces the root mean square of modules whose phi is near zero by construction (the speaker embedding,
    whose natural unit is its spread over the training speakers).
    """
    return (0.5 * prior.log_sigma2.cpu()).exp() / module_rms(prior.partition, phi, scale)


def module_rms(partition: Partition, phi: Tree, scale: dict[str, float] | None = None) -> Tensor:
    """Root mean square of each module's phi, `[M]`, never under 1e-3."""
    scale = scale or {}
    values = [scale[m] if m in scale else max(root_mean_square(partition, phi, m), 1e-3) for m in partition.modules]
    return torch.tensor(values, dtype=torch.float64)
