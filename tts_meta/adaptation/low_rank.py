"""Low-rank updates (LoRA, Hu et al. 2021): W = phi + B A for every weight, vectors as they are."""

from __future__ import annotations

import torch
from torch import Tensor

from tts_meta.meta.tree import Tree

A, B = "#a", "#b"


class LowRank:
    """The map from free factors `{name#a: [r, in], name#b: [out, r], vector: [...]}` to parameters.

    A convolution's weight `[out, in, k]` is a matrix `[out, in k]`. A starts as noise of variance 1 / in and B at zero,
    so that the first point is phi. A weight smaller than its factors would be moves as it is.
    """

    def __init__(self, phi: Tree, rank: int, seed: int = 0) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.phi, self.start = phi, {}
        for name, value in phi.items():
            rows, columns = value.shape[0], value[0].numel()
            if value.ndim < 2 or rank * (rows + columns) >= value.numel():
                self.start[name] = value
                continue
            self.start[name + A] = torch.randn(rank, columns, generator=rng) / columns**0.5
            self.start[name + B] = torch.zeros(rows, rank)

    def weights(self, free: Tree) -> Tree:
        """Parameters `{name: [T, ...]}` of factors `{name: [T, ...]}`."""
        out: dict[str, Tensor] = {}
        for name, value in self.phi.items():
            if name in free:
                out[name] = free[name]
            else:
                out[name] = value + (free[name + B] @ free[name + A]).reshape(-1, *value.shape)
        return out
