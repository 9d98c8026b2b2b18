"""The fast vocoder as one graph of plain operators.

Fourier transforms are convolutions with fixed waves, since ONNX has no inverse one of overlapping windows.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_meta.audio.fast_vocoder import CORRECTED, MOST, QUIETER, FastVocoder
from tts_meta.audio.mel import HOP, LOG_FLOOR, N_FFT, SAMPLE_RATE, mel_bands
from tts_meta.nets.source_filter import BINS, FFT, STEP, UNSEEN, minimum_phase, scaled

PARTS = HOP // STEP


def waves(size: int, count: int) -> Tensor:
    """`[2 count, 1, size]`: a windowed cosine and minus a sine of each of the first `count` frequencies."""
    turn = 2 * math.pi * torch.arange(count).double()[:, None] * torch.arange(size).double() / size
    return (torch.cat([torch.cos(turn), -torch.sin(turn)]) * torch.hann_window(size).double()).float()[:, None]


def shares(size: int) -> Tensor:
    """`[1, size + 2, 1]`: how much of its wave a real or an imaginary part is in the inverse transform."""
    found = torch.full((size // 2 + 1,), 2.0 / size)
    found[0] = found[-1] = 1.0 / size
    return found.repeat(2)[None, :, None]


def between(x: Tensor, factor: int) -> Tensor:
    """Linear interpolation to `factor` times as many steps, `[..., L]` -> `[..., factor L]`, the ends held (torch's with
    align_corners=False)."""
    place = (torch.arange(factor) + 0.5) / factor - 0.5
    near = torch.stack([(-place).clamp(min=0), 1 - place.abs(), place.clamp(min=0)])  # of the step before, itself, after
    before, after = torch.cat([x[..., :1], x[..., :-1]], -1), torch.cat([x[..., 1:], x[..., -1:]], -1)
    return (torch.stack([before, x, after], -1) @ near).flatten(-2)


class FastVocoderGraph(nn.Module):
    """Log-mel `[1, L, 80]` (nats; two frames at least) and standard normal noise `[1, 256 L]` -> samples `[1, 256 L]`."""

    analysis: Tensor
    shares: Tensor
    window: Tensor
    mel_analysis: Tensor
    bands: Tensor
    to_phase: Tensor

    def __init__(self) -> None:
        super().__init__()
        made = FastVocoder()
        self.pitch, self.filter = copy.deepcopy(made.pitch), copy.deepcopy(made.filter)
        heard = int(mel_bands().sum(0).nonzero().max()) + 1  # no band reaches over 8 kHz
        for name, value in (
            ("analysis", waves(FFT, BINS)), ("shares", shares(FFT)), ("window", torch.hann_window(FFT).square()[None, None]),
            ("mel_analysis", waves(N_FFT, heard)), ("bands", mel_bands()[:, :heard]),
            ("to_phase", minimum_phase(torch.eye(BINS))),
        ):
            self.register_buffer(name, value, persistent=False)

    def forward(self, mel: Tensor, noise: Tensor) -> Tensor:
        mel = mel.clamp(min=math.log(LOG_FLOOR))
        f0 = self.pitch.f0(mel)
        voiced = (f0 > 0).to(mel.dtype)
        size, phase = self.filters(mel, f0, voiced)
        quieter = QUIETER * torch.stack([voiced] * PARTS, -1).flatten(1)[:, :, None, None]
        size = torch.cat([size[:, :, :1], size[:, :, 1:] + quieter], 2)
        spectra = [self.spectrum(x) for x in self.sources(f0, voiced, noise)]
        samples = self.sound(size, phase, spectra)
        lacking = self.at_bins(mel - self.log_mel(samples)).clamp(-MOST, MOST)
        size = size + CORRECTED * lacking[:, :, None]
        return self.sound(size, phase, spectra).clamp(-1, 1)

    def filters(self, mel: Tensor, f0: Tensor, voiced: Tensor) -> tuple[Tensor, Tensor]:
        """As `SourceFilter.filters`."""
        net = self.filter
        hertz = f0.clamp(min=40.0)
        height = torch.log(hertz / 150) * voiced
        pattern = net.pattern.draw(voiced[:, None], hertz[:, None])
        x = net.inp(torch.cat([scaled(mel), pattern, height[:, None]], 1)).transpose(1, 2)
        for block in net.blocks:
            x = block(x)
        x = net.split(x).unflatten(-1, (PARTS, -1)).flatten(1, 2)
        out = 3 * net.out(net.norm(net.last(x))).unflatten(-1, (4, BINS))
        start = self.at_bins(mel) + net.to_bins[:, -1]
        return (start[:, :, None] + net.level[:, None] + out[:, :, :3]).clamp(-16, 6), out[:, :, 3]

    def at_bins(self, mel: Tensor) -> Tensor:
        return between((mel @ self.filter.to_bins[:, :-1].T).transpose(1, 2), PARTS).transpose(1, 2)

    def sources(self, f0: Tensor, voiced: Tensor, noise: Tensor) -> list[Tensor]:
        """As `tts_meta.nets.source_filter.sources`."""
        zero = torch.zeros_like(f0[:, :1])
        held = f0 + (f0 <= 0) * torch.cat([zero, f0[:, :-1]], 1)
        held = held + (held <= 0) * torch.cat([held[:, 1:], zero], 1)
        hertz = between(held + (held <= 0) * UNSEEN, HOP)
        there = between(voiced, HOP)
        cycles = torch.cumsum(hertz.double() / SAMPLE_RATE, 1)
        cycles = (cycles - cycles.floor()).to(f0.dtype)
        harmonics = torch.floor(SAMPLE_RATE / 2 / hertz).clamp(min=1)
        low = torch.sin(math.pi * cycles)
        at_pulse = (low.abs() < 1e-4).to(f0.dtype)
        ratio = torch.sin((2 * harmonics + 1) * math.pi * cycles) / (low + at_pulse * (1 - low))
        ratio = ratio + at_pulse * (2 * harmonics + 1 - ratio)
        pulses = (ratio - 1) / 2 * torch.sqrt(2 / harmonics)
        gate = (1 + torch.cos(2 * math.pi * cycles)) * math.sqrt(2 / 3)
        return [pulses * there, noise, noise * gate * there]

    def spectrum(self, samples: Tensor) -> Tensor:
        """`[1, N]` -> real and imaginary parts `[1, 2 BINS, T + 1]`."""
        return F.conv1d(F.pad(samples[:, None], (FFT // 2, FFT // 2)), self.analysis, stride=STEP)

    def sound(self, log_size: Tensor, phase: Tensor, spectra: list[Tensor]) -> Tensor:
        """As `SourceFilter.sound`, of spectra that are there."""
        size, further = _at_edges(log_size), _at_edges(phase)
        angle = (further + size[:, :, 0] @ self.to_phase).transpose(1, 2)
        loud = torch.exp(size).permute(0, 2, 3, 1)  # [1, 3, BINS, T + 1]
        real, imaginary = spectra[0].chunk(2, 1)
        turned = torch.cat([real * angle.cos() - imaginary * angle.sin(), real * angle.sin() + imaginary * angle.cos()], 1)
        parts = [s * torch.cat([loud[:, k], loud[:, k]], 1) for k, s in enumerate([turned, *spectra[1:]])]
        total = parts[0] + parts[1] + parts[2]
        over = F.conv_transpose1d(torch.ones_like(total[:, :1]), self.window, stride=STEP)
        samples = F.conv_transpose1d(total * self.shares, self.analysis, stride=STEP) / over.clamp(min=1e-8)
        return samples[:, 0, FFT // 2 : -FFT // 2]

    def log_mel(self, samples: Tensor) -> Tensor:
        """As `tts_meta.audio.mel.log_mel`, `[1, N]` -> `[1, L, 80]`."""
        pad = (N_FFT - HOP) // 2
        real, imaginary = F.conv1d(F.pad(samples[:, None], (pad, pad), "reflect"), self.mel_analysis, stride=HOP).chunk(2, 1)
        loud = self.bands @ torch.sqrt(real**2 + imaginary**2 + 1e-9)
        return torch.log(loud.clamp(min=LOG_FLOOR)).transpose(1, 2)


def _at_edges(x: Tensor) -> Tensor:
    longer = torch.cat([x[:, :1], x, x[:, -1:]], 1)
    return (longer[:, :-1] + longer[:, 1:]) / 2
