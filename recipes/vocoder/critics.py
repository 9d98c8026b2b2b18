"""Critics of the fast vocoder: small 2-D convolutions over spectrograms of four resolutions (Jang et al. 2021, UnivNet)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

RESOLUTIONS = ((2048, 512), (1024, 256), (512, 128), (256, 64))
FLOOR = 1e-4
"""Size of a spectrum, over the square root of its window, that counts as silence."""


def magnitude(samples: Tensor, fft: int, step: int) -> Tensor:
    """`[B, N]` -> `[B, F, T]`, over the square root of the window's length."""
    window = torch.hann_window(fft, device=samples.device)
    x = torch.stft(samples, fft, step, fft, window, center=True, pad_mode="constant", return_complex=True)
    return torch.sqrt(x.real**2 + x.imag**2 + 1e-8) / fft**0.5


class Critic(nn.Module):
    """One resolution: a score for each place, and what its layers see."""

    def __init__(self, fft: int, step: int, channels: int) -> None:
        super().__init__()
        self.fft, self.step = fft, step
        shapes = [(2, (7, 3), (2, 1)), (channels, (7, 3), (2, 1)), (channels, (7, 3), (2, 1)), (channels, (3, 3), (1, 1))]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(c, channels, size, stride, (size[0] // 2, size[1] // 2))) for c, size, stride in shapes)
        self.out = weight_norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, samples: Tensor) -> tuple[Tensor, list[Tensor]]:
        size = torch.log(magnitude(samples, self.fft, self.step).clamp(min=FLOOR)) / 2 + 1.5
        height = torch.linspace(-1, 1, size.shape[1])[None, :, None].expand_as(size)
        x, seen = torch.stack([size, height], 1).contiguous(memory_format=torch.channels_last), []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            seen.append(x)
        return self.out(x), seen


class Critics(nn.Module):
    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.critics = nn.ModuleList(Critic(fft, step, channels) for fft, step in RESOLUTIONS)

    def forward(self, samples: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        return [critic(samples) for critic in self.critics]


Opinions = list[tuple[Tensor, list[Tensor]]]


def their_loss(of_true: Opinions, of_made: Opinions) -> Tensor:
    """Hinge loss of the critics (Lim & Ye 2017)."""
    pairs = zip(of_true, of_made, strict=True)
    each = [(1 - t[0].float()).clamp(min=0).mean() + (1 + m[0].float()).clamp(min=0).mean() for t, m in pairs]
    return torch.stack(each).mean()


def loss_by_them(of_true: Opinions, of_made: Opinions) -> tuple[Tensor, Tensor]:
    """(minus the score of what was made, how differently their layers see it, relative to what they see in the truth)."""
    score = torch.stack([-m[0].float().mean() for m in of_made]).mean()
    apart = [
        (a.float().detach() - b.float()).abs().mean() / (a.float().detach().abs().mean() + 1e-3)
        for t, m in zip(of_true, of_made, strict=True) for a, b in zip(t[1], m[1], strict=True)
    ]
    return score, torch.stack(apart).mean()
