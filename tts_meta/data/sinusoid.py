"""Sinusoid regression: MAML's family (Finn et al. 2017) and BMAML's wider, noisy one (Yoon et al. 2018).

y = A sin(f x - p) + noise; x ~ U(-5, 5). maml: A ~ U(0.1, 5), f = 1, p ~ U(0, pi), no noise. bmaml: A ~ U(0.1, 5),
f ~ U(0.5, 2), p ~ U(0, 2 pi), noise sd 0.01 A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

FAMILIES = {"maml": ((1.0, 1.0), (0.0, math.pi), 0.0), "bmaml": ((0.5, 2.0), (0.0, 2 * math.pi), 0.01)}


@dataclass(frozen=True)
class Wave:
    """One task: amplitude * sin(frequency * x - phase), with noise of that standard deviation."""

    amplitude: float
    frequency: float
    phase: float
    noise: float

    def __call__(self, x: Tensor) -> Tensor:
        return self.amplitude * torch.sin(self.frequency * x - self.phase)


def draw_wave(family: str, rng: torch.Generator) -> Wave:
    """One task of the family. Raises ValueError for an unknown family."""
    if family not in FAMILIES:
        raise ValueError(f"family is {family!r}; one of {sorted(FAMILIES)} is expected.")
    frequency, phase, noise = FAMILIES[family]

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=rng))

    amplitude = uniform(0.1, 5.0)
    return Wave(amplitude, uniform(*frequency), uniform(*phase), noise * amplitude)


def points(wave: Wave, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random x `[count, 1]` and noisy y `[count, 1]`."""
    x = torch.rand(count, 1, generator=rng) * 10 - 5
    return x, wave(x) + wave.noise * torch.randn(count, 1, generator=rng)
