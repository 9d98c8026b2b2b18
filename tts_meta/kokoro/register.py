"""A speaker's register: rate, F0 and energy, measured on the clips and laid over the melody that the network draws.

The predictor learned rhythm and melody from hours of speech. Ten clips teach it mostly to be flat: moved on them, it costs a
clone more of its quality than everything else that moves. So the predictor keeps its shapes, and what makes them the
speaker's is measured: five numbers, of which each is a mean over all the clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tts_meta.kokoro.alignment import SILENT, SPACE
from tts_meta.kokoro.clips import KokoroItem
from tts_meta.meta.tree import Tree
from tts_meta.nets.kokoro.network import Kokoro, hard_voicing
from tts_meta.nets.kokoro.speaker_loss import MANNER

REGISTER = "register"
SIZE = 5
LEAST, MOST = 0.5, 2.0
"""Bounds of the ratios of rate and of F0's spread."""


@dataclass(frozen=True)
class Register:
    """All are 0 for the network's own: `slow` log ratio of durations, `shift` of mean log F0, `spread` log ratio of its
    standard deviation around `centre` (the network's mean log F0), `energy` (nats)."""

    slow: float = 0.0
    shift: float = 0.0
    spread: float = 0.0
    centre: float = 0.0
    energy: float = 0.0

    def tensor(self) -> Tensor:
        """`[5]`"""
        return torch.tensor([self.slow, self.shift, self.spread, self.centre, self.energy])

    @staticmethod
    def of(values: Tensor) -> Register:
        return Register(*values.flatten().tolist())

    def durations(self, expected: Tensor) -> Tensor:
        """Frames of every token."""
        return expected * 2.718281828459045**self.slow

    def pitch(self, f0: Tensor) -> Tensor:
        """F0 (Hz, 0 unvoiced)."""
        log = f0.clamp(min=1.0).log()
        moved = self.centre + self.shift + (log - self.centre) * 2.718281828459045**self.spread
        return torch.where(f0 > 0, moved.exp(), f0)


@torch.no_grad()
def measure(net: Kokoro, params: Tree, items: Sequence[KokoroItem], read: Sequence[tuple[Tensor, Tensor]]) -> Register:
    """The register of a speaker's clips against what the network with `params` `{name: [1, ...]}` says of their texts."""
    spoken = drawn = 0.0
    logs: list[tuple[Tensor, Tensor]] = []
    level: list[Tensor] = []
    for item, (text, _) in zip(items, read, strict=True):
        mask = torch.ones(1, len(item.ids))
        lengths = torch.tensor([len(item.ids)])
        counts = torch.from_numpy(item.counts)
        read_ = net.prosody.read(text[None], params[MANNER], mask, lengths, params)
        expected = net.prosody.durations(read_, lengths, params)[0]
        sounding = torch.tensor([i not in SILENT and i != SPACE for i in item.ids.tolist()]) & (counts > 0)
        spoken += float(counts[sounding].sum())
        drawn += float(expected[sounding].sum())
        index = torch.repeat_interleave(torch.arange(len(counts)), counts)[None]
        f0, energy = net.melody(read_, index, params[MANNER], torch.ones(index.shape), params)
        f0, recorded = hard_voicing(f0)[0], torch.from_numpy(item.f0)
        both = (f0 > 0) & (recorded > 0)
        logs.append((f0[both].log(), recorded[both].log()))
        level.append((torch.from_numpy(item.energy) - energy[0])[both])
    ours, theirs = (torch.cat([row[k] for row in logs]) for k in (0, 1))
    if len(ours) < 20 or spoken == 0:
        return Register()
    slow = float(torch.tensor(spoken / drawn).clamp(LEAST, MOST).log())
    spread = float((theirs.std() / ours.std().clamp(min=1e-3)).clamp(LEAST, MOST).log())
    return Register(slow, float(theirs.mean() - ours.mean()), spread, float(ours.mean()), float(torch.cat(level).mean()))
