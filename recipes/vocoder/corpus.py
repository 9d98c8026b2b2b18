"""The speech of recipes/vocoder/speech.py in memory, and pieces of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tts_meta.audio.mel import HOP

HELD_OUT = 25
"""Every so many-th item is for validation."""


@dataclass(frozen=True)
class Item:
    """Log-mel `[L, 80]` (nats), F0 `[L]` (Hz), samples `[256 L]` (16 bits)."""

    mel: np.ndarray
    f0: np.ndarray
    wave: np.ndarray


def read(folder: Path, shortest: int) -> tuple[list[Item], list[Item]]:
    """(training, validation) items of at least `shortest` frames."""
    items = []
    for name in ("spoken.npz", "recorded.npz"):
        with np.load(folder / name) as stored:
            mel, f0, wave = stored["mel"], stored["f0"], stored["wave"]
            begin = 0
            for length in stored["lengths"]:
                end = begin + int(length)
                if length >= shortest:
                    items.append(Item(mel[begin:end], f0[begin:end], wave[begin * HOP : end * HOP]))
                begin = end
    return [x for i, x in enumerate(items) if i % HELD_OUT], items[::HELD_OUT]


def pieces(items: Sequence[Item], count: int, frames: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """`count` pieces of `frames` frames, long items the more often: mel `[B, L, 80]`, f0 `[B, L]`, samples `[B, N]`."""
    lengths = np.array([len(i.mel) for i in items], dtype=float)
    found: tuple[list, list, list] = ([], [], [])
    for n in rng.choice(len(items), count, p=lengths / lengths.sum()):
        item = items[n]
        at = int(rng.integers(len(item.mel) - frames + 1))
        found[0].append(item.mel[at : at + frames].astype(np.float32))
        found[1].append(item.f0[at : at + frames])
        found[2].append(item.wave[at * HOP : (at + frames) * HOP].astype(np.float32) / 32767)
    mel, f0, wave = (torch.from_numpy(np.stack(x)) for x in found)
    return mel, f0, wave
