"""The refiner: gives a mel back the fine structure that a Laplace likelihood's median leaves out; and its critics.

The acoustic model's mel is the middle of all the mels a sentence may have, so it is smoother than any of them. The
refiner adds a residual to it, trained against patch critics (least squares, Mao et al. 2017; feature matching, Larsen
et al. 2016). It comes after the likelihood and never moves in a clone: what sigma means is untouched.

Shapes: B utterances, L frames, 80 mel bands; everything normalised.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """x + conv1x1(SiLU(conv3x5(x))), dilated over time and bands."""

    def __init__(self, channels: int, dilation: tuple[int, int]) -> None:
        super().__init__()
        padding = (dilation[0], 2 * dilation[1])
        self.conv = nn.Conv2d(channels, channels, (3, 5), padding=padding, dilation=dilation)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(F.silu(self.conv(F.silu(x))))


class Refiner(nn.Module):
    """mel `[B, L, 80]`, harmonics `[B, L, 80]` (tts_meta.data.batch.harmonic_pattern), noise `[B, L, 80]` -> mel `[B, L, 80]`.

    Without training it is the identity.
    """

    band: Tensor

    def __init__(self, channels: int = 24, blocks: int = 6, mels: int = 80) -> None:
        super().__init__()
        self.inp = nn.Conv2d(4, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(channels, ((1, 1), (2, 1), (4, 1))[i % 3]) for i in range(blocks)))
        self.out = nn.Conv2d(channels, 1, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]
        self.register_buffer("band", torch.linspace(-1, 1, mels), persistent=False)

    def forward(self, mel: Tensor, harmonics: Tensor, noise: Tensor) -> Tensor:
        band = self.band.expand_as(mel)
        x = self.blocks(self.inp(torch.stack([mel, harmonics, noise, band], 1)))
        return mel + self.out(F.silu(x))[:, 0]


class Critic(nn.Module):
    """Scores of patches of a mel given the smooth one: (mel, smooth, harmonics) `[B, L, 80]` -> features of every layer."""

    band: Tensor

    def __init__(self, channels: int = 32, layers: int = 4, mels: int = 80) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        sizes = [4, *(min(channels * 2**i, 128) for i in range(layers))]
        self.layers = nn.ModuleList(
            norm(nn.Conv2d(a, b, 3, stride=(2, 2) if i else (1, 2), padding=1))
            for i, (a, b) in enumerate(zip(sizes[:-1], sizes[1:], strict=True))
        )
        self.out = norm(nn.Conv2d(sizes[-1], 1, 3, padding=1))
        self.register_buffer("band", torch.linspace(-1, 1, mels), persistent=False)

    def forward(self, mel: Tensor, smooth: Tensor, harmonics: Tensor) -> list[Tensor]:
        x = torch.stack([mel, smooth, harmonics, self.band.expand_as(mel)], 1)
        found = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            found.append(x)
        return [*found, self.out(x)]
