"""A vocoder that works a frame at a time: F0 is read off the mel, and pulses and noise go through filters that follow it.

The harmonics are a train of band-limited pulses at F0, the rest is noise, plain and in step with the pulses; a network gives,
172 times a second, the size of each of the three at 257 frequencies, and the phase of the pulses beside that of a minimum-phase
filter. The filters are applied to short-time spectra. Samples are never what the network computes, so a second of speech
is a thirtieth of HiFi-GAN's arithmetic.

Sources: harmonic plus noise with neural filters, Wang et al. 2019 (neural source-filter) and Liu et al. 2020 (neural homomorphic
vocoder); ConvNeXt blocks at the frame rate as in Siuzdak 2023 (Vocos).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_meta.nets.kokoro.head import HarmonicPattern

FFT, STEP = 512, 128
"""Samples of a filter's window, and between two filters."""
BINS = FFT // 2 + 1
LOWEST, CENTS, PITCHES = 50.0, 20.0, 220
"""F0 is one of so many classes, so many cents apart from LOWEST (Hz) on; between them by their probabilities."""
NEIGHBOURS = 3
UNSEEN = 120.0
"""Hz of the pulses where nothing near is voiced: they are silent there."""


class Block(nn.Module):
    """ConvNeXt block (Liu et al. 2022) over frames `[B, L, C]`."""

    def __init__(self, channels: int, wider: int = 3) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.up, self.down = nn.Linear(channels, wider * channels), nn.Linear(wider * channels, channels)
        nn.init.normal_(self.down.weight, std=0.01)
        nn.init.zeros_(self.down.bias)

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        return x + self.down(F.gelu(self.up(self.norm(y))))


def scaled(mel: Tensor) -> Tensor:
    """Log-mel `[B, L, 80]` -> `[B, 80, L]`, near 0."""
    return (mel.transpose(1, 2) + 5) / 2


class PitchNet(nn.Module):
    """F0 of every frame of a mel."""

    def __init__(self, bands: int = 80, channels: int = 192, layers: int = 6) -> None:
        super().__init__()
        self.inp = nn.Conv1d(bands, channels, 5, padding=2)
        self.blocks = nn.ModuleList(Block(channels) for _ in range(layers))
        self.norm = nn.LayerNorm(channels)
        self.out = nn.Linear(channels, PITCHES + 1)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel `[B, L, 80]` -> logits of the classes `[B, L, PITCHES]` and of being voiced `[B, L]`."""
        x = self.inp(scaled(mel)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        out = self.out(self.norm(x))
        return out[..., :PITCHES], out[..., PITCHES]

    def f0(self, mel: Tensor) -> Tensor:
        """Hz `[B, L]`, 0 where unvoiced."""
        logits, voiced = self(mel)
        best = logits.argmax(-1, keepdim=True)
        near = (best + torch.arange(-NEIGHBOURS, NEIGHBOURS + 1, device=mel.device)).clamp(0, PITCHES - 1)
        place = (torch.softmax(logits.gather(-1, near), -1) * near).sum(-1)
        return torch.where(voiced > 0, LOWEST * 2 ** (place * CENTS / 1200), torch.zeros_like(place))


def held(f0: Tensor) -> Tensor:
    """`[B, L]` with each voiced stretch one frame longer at both ends, and UNSEEN elsewhere."""
    found = torch.where(f0 > 0, f0, F.pad(f0, (1, 0))[:, :-1])
    found = torch.where(found > 0, found, F.pad(f0, (0, 1))[:, 1:])
    return torch.where(found > 0, found, torch.full_like(found, UNSEEN))


def sources(f0: Tensor, noise: Tensor, rate: int, phase: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Pulses, noise, and noise in step with the pulses, each `[B, N]` with a power near 1 where they sound.

    `f0` `[B, L]` (Hz), `noise` `[B, N]` standard normal, `phase` `[B]` (cycles) of the pulses at the start. The pulses are
    the sum of all cosines at multiples of F0 under half the sampling rate, in closed form (Dirichlet's kernel).
    """
    samples = noise.shape[1]
    hertz = F.interpolate(held(f0)[:, None], size=samples, mode="linear", align_corners=False)[:, 0]
    voiced = F.interpolate((f0 > 0).to(f0.dtype)[:, None], size=samples, mode="linear", align_corners=False)[:, 0]
    cycles = torch.cumsum(hertz.double() / rate, 1)  # over a minute of speech float32 has too few digits
    if phase is not None:
        cycles = cycles + phase.double()[:, None]
    cycles = (cycles - cycles.floor()).to(f0.dtype)
    harmonics = torch.floor(rate / 2 / hertz).clamp(min=1)
    low = torch.sin(math.pi * cycles)
    at_pulse = low.abs() < 1e-4
    ratio = torch.sin((2 * harmonics + 1) * math.pi * cycles) / torch.where(at_pulse, torch.ones_like(low), low)
    pulses = (torch.where(at_pulse, 2 * harmonics + 1, ratio) - 1) / 2 * torch.sqrt(2 / harmonics)
    gate = (1 + torch.cos(2 * math.pi * cycles)) * math.sqrt(2 / 3)
    return pulses * voiced, noise, noise * gate * voiced


def minimum_phase(log_size: Tensor) -> Tensor:
    """Phase `[..., BINS]` of the minimum-phase filter whose log magnitude is given, by its folded cepstrum."""
    fold = torch.zeros(FFT, device=log_size.device)
    fold[0] = fold[FFT // 2] = 1
    fold[1 : FFT // 2] = 2
    return torch.fft.rfft(torch.fft.irfft(log_size, n=FFT) * fold).imag


class SourceFilter(nn.Module):
    """Mel and F0 -> filters -> samples."""

    to_bins: Tensor
    window: Tensor

    def __init__(
        self, bands: Tensor, to_bins: Tensor, rate: int, hop: int, channels: int = 384, layers: int = 8, fine: int = 256
    ) -> None:
        """`bands` `[80, F]`: the mel filter bank; `to_bins` `[BINS, 81]`: what log magnitude the filters begin with, linear
        in the log-mel and a 1 beside it."""
        super().__init__()
        self.rate, self.hop = rate, hop
        self.pattern = HarmonicPattern(bands, rate, hop)
        self.register_buffer("to_bins", to_bins, persistent=False)
        self.register_buffer("window", torch.hann_window(FFT), persistent=False)
        self.inp = nn.Conv1d(len(bands) + len(bands) + 2, channels, 7, padding=3)
        self.blocks = nn.ModuleList(Block(channels) for _ in range(layers))
        self.split = nn.Linear(channels, hop // STEP * fine)
        self.last = Block(fine)
        self.norm = nn.LayerNorm(fine)
        self.out = nn.Linear(fine, 4 * BINS)
        self.level = nn.Parameter(torch.tensor([0.0, -1.5, -2.0]))
        nn.init.normal_(self.out.weight, std=0.005)
        nn.init.zeros_(self.out.bias)

    def filters(self, mel: Tensor, f0: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel `[B, L, 80]` (nats) and F0 `[B, L]` (Hz) -> log sizes `[B, 2L, 3, BINS]`, the pulses' further phase
        `[B, 2L, BINS]` (rad)."""
        voiced, hertz = (f0 > 0).to(mel.dtype), f0.clamp(min=40.0)
        height = torch.where(f0 > 0, torch.log(hertz / 150), torch.zeros_like(f0))
        pattern = self.pattern.draw(voiced[:, None], hertz[:, None])
        x = self.inp(torch.cat([scaled(mel), pattern, height[:, None]], 1)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        batch, length = mel.shape[:2]
        parts = self.hop // STEP
        x = self.norm(self.last(self.split(x).view(batch, parts * length, -1)))
        out = 3 * self.out(x).float().view(batch, parts * length, 4, BINS)
        start = self.at_bins(mel) + self.to_bins[:, -1]
        return (start[:, :, None] + self.level[:, None] + out[:, :, :3]).clamp(-16, 6), out[:, :, 3]

    def at_bins(self, mel: Tensor) -> Tensor:
        """Nats of the bands `[B, L, 80]`, between the bands and between the frames: `[B, 2L, BINS]`."""
        x = (mel @ self.to_bins[:, :-1].T).transpose(1, 2)
        return F.interpolate(x, scale_factor=float(self.hop // STEP), mode="linear", align_corners=False).transpose(1, 2)

    def sound(self, log_size: Tensor, phase: Tensor, of: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """The three `sources` `[B, N]` through the filters, summed, `[B, N]`."""
        steps = log_size.shape[1]
        spectra = [
            torch.stft(x, FFT, STEP, FFT, self.window, center=True, pad_mode="constant", return_complex=True)[..., : steps + 1]
            for x in of
        ]
        size, further = _between(log_size), _between(phase)
        pulse = torch.polar(torch.exp(size[:, :, 0]), further + minimum_phase(size[:, :, 0]))
        filters = [pulse, torch.exp(size[:, :, 1]), torch.exp(size[:, :, 2])]
        total = torch.stack([s * f.transpose(1, 2) for s, f in zip(spectra, filters, strict=True)]).sum(0)
        return torch.istft(total, FFT, STEP, FFT, self.window, center=True, length=steps * STEP)

    def forward(self, mel: Tensor, f0: Tensor, noise: Tensor) -> Tensor:
        """Log-mel `[B, L, 80]`, F0 `[B, L]` (Hz), standard normal noise `[B, hop L]` -> samples `[B, hop L]`."""
        return self.sound(*self.filters(mel, f0), sources(f0, noise, self.rate))


def _between(x: Tensor) -> Tensor:
    """`[B, T, ...]`, of steps' middles, at their edges, where the windows are centred: `[B, T + 1, ...]`."""
    longer = torch.cat([x[:, :1], x, x[:, -1:]], 1)
    return (longer[:, :-1] + longer[:, 1:]) / 2
