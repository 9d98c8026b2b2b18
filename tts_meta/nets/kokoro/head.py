"""The mel head: the acoustic blocks' features -> the vocoder's log-mel, in place of the generator of the original.

The features are at 80 frames a second, the mel at 22050 / 256; features and F0 are read between their frames at each mel
frame's centre. F0 comes as the pattern that its harmonics draw on the mel bands, which no smooth function of F0 is.
ConvNeXt blocks (Liu et al. 2022) with the style's scale and shift.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_meta.nets.channels_last import Conv1d, join
from tts_meta.nets.kokoro.layers import NONE, Deltas, LowRankConv, StyleAffine

FEATURE_RATE = 80.0
"""Features, F0 and energy a second."""
VOICED = 40.0
"""Hz under which F0 means that nothing is voiced."""
WIDTH = 32.0
"""Hz: half the width of a harmonic in the spectrum of the mel's window."""


def frame_positions(frames: int, rate: float, hop: int, device: torch.device | None = None) -> Tensor:
    """Where the centres of `frames` mel frames lie on the axis of the features, `[L]` (features)."""
    return (torch.arange(frames, device=device) + 0.5) * (hop / rate * FEATURE_RATE) - 0.5


def read_between(x: Tensor, at: Tensor) -> Tensor:
    """`[B, N]` or `[B, C, N]` at the fractional places `at` `[L]`, linear, the ends held -> `[..., L]`."""
    last = x.shape[-1] - 1
    at = at.clamp(0, last)
    low = at.floor().long().clamp(max=max(last - 1, 0))
    part = (at - low).to(x.dtype)
    if x.dim() == 2:
        return torch.lerp(x.index_select(1, low), x.index_select(1, (low + 1).clamp(max=last)), part)
    y = x.transpose(1, 2)  # whole frames are copied, as they lie in memory
    return torch.lerp(y.index_select(1, low), y.index_select(1, (low + 1).clamp(max=last)), part.unsqueeze(-1)).transpose(1, 2)


class HarmonicPattern(nn.Module):
    """F0 `[B, N]` (Hz) -> where its harmonics fall on the mel bands, `[B, 81, L]`; the last row says voiced or not."""

    bands: Tensor

    def __init__(self, bands: Tensor, rate: int, hop: int) -> None:
        """`bands` `[80, F]`: the mel filter bank."""
        super().__init__()
        self.rate, self.hop = rate, hop
        self.register_buffer("bands", bands, persistent=False)
        self.set_bands(bands)

    def set_bands(self, bands: Tensor) -> None:
        """Take the filter bank, each band scaled to sum 1."""
        self.bands = bands / bands.sum(1, keepdim=True)

    def forward(self, f0: Tensor, frames: int) -> Tensor:
        at = frame_positions(frames, self.rate, self.hop, f0.device)
        voiced = read_between((f0 > VOICED).to(f0.dtype), at).unsqueeze(1)
        return self.draw(voiced, read_between(f0.clamp(min=VOICED), at).unsqueeze(1))

    def draw(self, voiced: Tensor, hertz: Tensor) -> Tensor:
        """Both `[B, 1, L]`, at the mel frames -> `[B, 81, L]`."""
        count = self.bands.shape[1]
        bins = torch.arange(count, device=hertz.device, dtype=hertz.dtype) * (self.rate / 2 / (count - 1))
        ratio = bins.view(1, -1, 1) / hertz
        away = (ratio - ratio.round()) * hertz
        drawn = torch.exp(-((away / WIDTH) ** 2)) * (ratio > 0.5)
        return torch.cat([torch.log(self.bands @ drawn + 0.02) * voiced, voiced], 1)


class HeadBlock(nn.Module):
    """ConvNeXt block (Liu et al. 2022) whose norm's scale and shift come from the style."""

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        self.affine = StyleAffine(channels)
        nn.init.zeros_(self.affine.fc.weight)
        nn.init.zeros_(self.affine.fc.bias)
        self.depthwise = Conv1d(channels, channels, 7, padding=3, groups=channels)
        self.up = LowRankConv(channels, 2 * channels, 1, rank)
        self.down = LowRankConv(2 * channels, channels, 1, rank)
        nn.init.normal_(self.down.conv.weight, std=0.01)

    def forward(self, x: Tensor, style: Tensor, mask: Tensor, deltas: Deltas = NONE) -> Tensor:
        scale, shift = self.affine(style, deltas)
        y = torch.addcmul(shift.unsqueeze(-1), x, (1 + scale).unsqueeze(-1)) * mask
        return x + self.down(F.gelu(self.up(self.depthwise(y), deltas)), deltas)


class MelHead(nn.Module):
    """Features of the acoustic blocks `[B, 512, 2L]` and F0 -> log-mel, in place of the original's generator."""

    def __init__(
        self, rank: int, bands: Tensor, rate: int, hop: int, channels: int = 448, layers: int = 6, inputs: int = 512
    ) -> None:
        super().__init__()
        self.rate, self.hop = rate, hop
        self.pattern = HarmonicPattern(bands, rate, hop)
        self.scale, self.shift = nn.Parameter(torch.ones(inputs)), nn.Parameter(torch.zeros(inputs))
        self.inp = LowRankConv(inputs + len(bands) + 1, channels, 3, rank)
        self.blocks = nn.ModuleList(HeadBlock(channels, rank) for _ in range(layers))
        self.out = LowRankConv(channels, len(bands), 1, rank)
        self.level = nn.Parameter(torch.full((len(bands),), -5.0))

    def frames(self, features: int) -> int:
        """Mel frames of `features` feature frames."""
        return max(1, round(features / FEATURE_RATE * self.rate / self.hop))

    def forward(
        self, features: Tensor, style: Tensor, f0: Tensor, frames: int, mask: Tensor, deltas: Deltas = NONE
    ) -> Tensor:
        """features `[B, 512, N]`, style `[B, 128]`, f0 `[B, N]` (Hz), mask `[B, 1, L]` -> log-mel `[B, L, 80]` (nats)."""
        x = features * self.scale.unsqueeze(-1) + self.shift.unsqueeze(-1)
        x = read_between(x, frame_positions(frames, self.rate, self.hop, x.device))
        with torch.no_grad():
            pattern = self.pattern(f0, frames)
        x = self.inp(join([x, pattern.to(x.dtype)]) * mask, deltas)
        for block in self.blocks:
            x = block(x, style, mask, deltas)
        y = self.out(F.leaky_relu(x, 0.1), deltas) * 2 + self.level.unsqueeze(-1)
        return y.transpose(1, 2)
