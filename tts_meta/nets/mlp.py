"""Regression networks: MAML's 2 x 40 perceptron, and the same with learned precisions for Bayesian members."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_meta.nets.layers import dense


class MLP(nn.Module):
    """batch `x` `[B, in]` -> `[B, out]`; layers fc1 ... fcN, head."""

    def __init__(self, width: int = 40, depth: int = 2, inputs: int = 1, outputs: int = 1) -> None:
        super().__init__()
        sizes = [inputs] + [width] * depth
        self.names = [f"fc{i + 1}" for i in range(depth)]
        for name, a, b in zip(self.names, sizes[:-1], sizes[1:], strict=True):
            setattr(self, name, nn.Linear(a, b))
        self.head = nn.Linear(width, outputs)

    def features(self, x: Tensor, batch: dict[str, Tensor]) -> Tensor:
        for name in self.names:
            x = F.relu(dense(getattr(self, name), name, x, batch))
        return x

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return dense(self.head, "head", self.features(batch["x"], batch), batch)

    def noise(self, batch: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
        """Shapes of one task's activation noise for a batch `[T, B, in]`."""
        rows = batch["x"].shape[1]
        width = self.head.in_features
        shapes: dict[str, tuple[int, ...]] = {f"eps/{n}": (rows, width) for n in self.names}
        return shapes | {"eps/head": (rows, self.head.out_features)}


class PreciseMLP(nn.Module):
    """An MLP with its noise precision gamma and weight precision lambda (Yoon et al. 2018).

    batch `x` `[B, in]` -> `[B, 3]`: mean, log gamma, and the log density of the weights and of both precisions:
    weights N(0, 1 / lambda), gamma ~ Gamma(2, 0.2), lambda ~ Gamma(2, 2), as densities of the logarithms.
    """

    def __init__(self, width: int = 40, depth: int = 3, inputs: int = 1, log_gamma: float = 2.0) -> None:
        super().__init__()
        self.net = MLP(width, depth, inputs)
        self.log_gamma = nn.Parameter(torch.full((1,), log_gamma))
        self.log_lambda = nn.Parameter(torch.full((1,), math.log(2.0)))

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        mean = self.net(batch)
        square = torch.stack([(p**2).sum() for p in self.net.parameters()]).sum()
        count = sum(p.numel() for p in self.net.parameters())
        log_prior = 0.5 * count * (self.log_lambda - math.log(2 * math.pi)) - 0.5 * self.log_lambda.exp() * square
        for log, a, b in ((self.log_gamma, 2.0, 0.2), (self.log_lambda, 2.0, 2.0)):
            # a log x rather than (a - 1) log x: the Jacobian of the logarithm
            log_prior = log_prior + a * math.log(b) - math.lgamma(a) + a * log - b * log.exp()
        return torch.cat([mean, self.log_gamma.expand_as(mean), log_prior.expand_as(mean)], 1)


class Dimension(nn.Module):
    """One dimension of theta: a module of its own for the modular methods."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.full((1,), value))


class GaussianMean(nn.Module):
    """The hierarchical Gaussian's observation mean mu(theta), one module a dimension (dims.0 ... dims.M-1).

    `kind` linear: mu = [I; 1'/sqrt(M)] theta, `[M + 1]`. spiral: every pair (theta_d, theta_{d+1}), d even, turned by
    the angle omega times the pair's length, `[M]` (Chen et al., workshop version, section 4.1). The batch is not used
    but for its number of rows: `[N, D]`.
    """

    def __init__(self, kind: str, phi: list[float], omega: float = math.pi / 5) -> None:
        super().__init__()
        if kind not in ("linear", "spiral"):
            raise ValueError(f"kind is {kind!r}; linear or spiral is expected.")
        self.kind, self.omega = kind, omega
        self.dims = nn.ModuleList(Dimension(v) for v in phi)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        theta = torch.cat([d.theta for d in self.dims])  # type: ignore[misc]
        return self.mean(theta).expand(batch["x"].shape[0], -1)

    def mean(self, theta: Tensor) -> Tensor:
        """mu of `[..., M]`."""
        if self.kind == "linear":
            return torch.cat([theta, theta.sum(-1, keepdim=True) / math.sqrt(theta.shape[-1])], -1)
        a, b = theta[..., 0::2], theta[..., 1::2]
        angle = self.omega * (a**2 + b**2 + 1e-12).sqrt()
        turned = (angle.cos() * a - angle.sin() * b, angle.sin() * a + angle.cos() * b)
        return torch.stack(turned, -1).flatten(-2)
