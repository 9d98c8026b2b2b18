"""A speaker's register: rate, F0 and energy, measured on the clips and laid over the melody that the network draws.

The predictor learned rhythm and melody from hours of speech. Ten clips teach it mostly to be flat: moved on them, it costs a
clone more of its quality than everything else that moves. So the predictor keeps its shapes, and what makes them the
speaker's is measured: five numbers, of which each is a mean over all the clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tts_meta.kokoro.alignment import SILENT, SPACE
from tts_meta.kokoro.clips import KokoroItem
from tts_meta.meta.tree import Tree
from tts_meta.nets.kokoro.network import Kokoro, audible, hard_voicing, token_index
from tts_meta.nets.kokoro.speaker_loss import MANNER

REGISTER = "register"
SIZE = 5
LEAST, MOST = 0.5, 2.0
"""Bounds of the ratios of rate and of F0's spread."""
QUIETEST = 0.2
"""Share of the drawn voiced frames, the quietest, in which no tracker hears a pitch. The network draws F0 in 0.71 of all frames,
at the edges of voiceless sounds and into pauses, and measured F0 is in 0.5 of them, of its own speech too. Of 14 readers, none
of them held out, F0 of the speech is then within 0.02 (log) of the recordings', and was 0.00 to 0.09 too high."""


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

    def spoken(self, f0: Tensor, energy: Tensor, quiet: float) -> Tensor:
        """F0 (Hz, 0 unvoiced) as a voice speaks it, of what the network draws: f0, energy `[B, N]`; `quiet` as of `audible`."""
        return self.pitch(audible(hard_voicing(f0), energy, quiet))


@torch.no_grad()
def measure(net: Kokoro, params: Tree, items: Sequence[KokoroItem], read: Sequence[Tensor]) -> Register:
    """The register of a speaker's clips against what the network with `params` `{name: [1, ...]}` says of their texts, of
    which `read` has the text front's outputs for the prosody, `[P, 512]`."""
    spoken = drawn = 0.0
    level: list[Tensor] = []
    seen = []
    for item, text in zip(items, read, strict=True):
        mask = torch.ones(1, len(item.ids))
        lengths = torch.tensor([len(item.ids)])
        counts = torch.from_numpy(item.counts)
        read_ = net.prosody.read(text[None], params[MANNER], mask, lengths, params)
        expected = net.prosody.durations(read_, lengths, params)[0]
        sounding = torch.tensor([i not in SILENT and i != SPACE for i in item.ids.tolist()]) & (counts > 0)
        spoken += float(counts[sounding].sum())
        drawn += float(expected[sounding].sum())
        f0, energy = net.melody(read_, token_index(counts)[None], params[MANNER], torch.ones(1, int(counts.sum())), params)
        both = (hard_voicing(f0)[0] > 0) & (torch.from_numpy(item.f0) > 0)
        level.append((torch.from_numpy(item.energy) - energy[0])[both])
        seen.append((read_, expected))
    theirs = torch.cat([torch.from_numpy(i.f0) for i in items])
    theirs = theirs[theirs > 0].log()
    if len(theirs) < 20 or spoken == 0 or not sum(map(len, level)):
        return Register()
    slow = Register(float(torch.tensor(spoken / drawn).clamp(LEAST, MOST).log()))
    ours = _heard([_melody(net, params, r, slow.durations(expected)) for r, expected in seen])
    spread = float((theirs.std() / ours.std().clamp(min=1e-3)).clamp(LEAST, MOST).log())
    return replace(
        slow, shift=float(theirs.mean() - ours.mean()), spread=spread, centre=float(ours.mean()),
        energy=float(torch.cat(level).mean()),
    )


def _melody(net: Kokoro, params: Tree, read: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """(F0, energy) `[N]` in the network's own rhythm, as a voice speaks."""
    index = token_index(expected.round().clamp(min=1).long())[None]
    f0, energy = net.melody(read, index, params[MANNER], torch.ones(index.shape), params)
    return hard_voicing(f0)[0], energy[0]


def _heard(curves: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """log F0 of the drawn frames in which a pitch would be heard: a recording's F0 has none of the quiet ones."""
    f0, energy = (torch.cat([c[k] for c in curves]) for k in (0, 1))
    voiced = f0 > 0
    if int(voiced.sum()) < 2:
        return torch.zeros(2)
    return f0[voiced & (energy > energy[voiced].quantile(QUIETEST))].log()
