"""Layers that a learning algorithm can run with Gaussian weights, by local reparametrisation.

With weights N(w, s^2) a layer's activation has mean layer(x; w) and variance layer(x^2; s^2) (Kingma et al. 2015; the
same for a convolution, whose positions are then drawn independently). The standard deviations and the noise come
in the batch, as `sd/<parameter>` and `eps/<layer>`, so that the randomness is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _local(run: Callable[..., Tensor], layer: nn.Module, name: str, x: Tensor, batch: dict[str, Tensor], **how) -> Tensor:
    mean = run(x, layer.weight, layer.bias, **how)
    if f"eps/{name}" not in batch:
        return mean
    sd, bias = batch[f"sd/{name}.weight"], batch[f"sd/{name}.bias"]
    # The clamp keeps the root differentiable where a dead input gives no variance.
    variance = run(x**2, sd**2, bias**2, **how).clamp(min=1e-16)
    return mean + variance.sqrt() * batch[f"eps/{name}"]


def dense(layer: nn.Linear, name: str, x: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """`[B, in]` -> `[B, out]`."""
    return _local(F.linear, layer, name, x, batch)


def convolve(layer: nn.Conv2d, name: str, x: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """`[B, C, H, W]` -> `[B, C', H', W']`."""
    return _local(F.conv2d, layer, name, x, batch, stride=layer.stride, padding=layer.padding)


class Norm(nn.Module):
    """Batch normalisation by the statistics of the rows it is told to look at; no running statistics to leak or alias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """`[B, C, H, W]`, normalised by the mean and variance of the first `rows` rows (all of them when None)."""
        if rows is None:
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True)
        variance, mean = torch.var_mean(x[:rows], (0, 2, 3), correction=0)
        scale = self.weight * (variance + 1e-5).rsqrt()
        return x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]
