"""In which accent a speaker's clips are read: the one in whose phonemes the network expects their sound.

American, unless British is likelier by enough: of 37 native readers of training no one's ten clips are, both of VCTK's English
speakers' are. Of few clips less can be said, so they have to say it more clearly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tts_meta.clips.prepared_clips import Prepared, prepare
from tts_meta.clips.whole_clips import UsedClip
from tts_meta.processor import bf16_is_fast
from tts_meta.starters.interface import Network
from tts_meta.text.accents import AUTO, check_accent

ENOUGH = 1.0
"""Nats a mel frame by which one clip has to be likelier; of n clips the mean, by this over the root of n. (The clips of a person
differ by 2 nats in it, standard deviation.)"""


@dataclass(frozen=True)
class Heard:
    """`network` reads in the accent that was asked for or heard, and `clips` are prepared so. `gain` is by how many nats a frame
    the accent that is not the network's first is likelier (0 where none was compared)."""

    network: Network
    clips: list[Prepared]
    gain: float = 0.0

    @property
    def sentence(self) -> str:
        """What is told of it; nothing where there was nothing to choose."""
        if not self.gain:
            return ""
        return f"Texts are read with {self.network.accent.title()} phonemes, as the clips sound; the accent can be chosen."


def prepare_in_accent(used: Sequence[UsedClip], network: Network, asked: str = AUTO) -> Heard:
    """The clips as a clone learns from them, in the accent `asked`, or in the one that is heard in them.

    Raises InputError for an accent that the network has not.
    """
    if check_accent(asked) != AUTO:
        network = network.in_accent(asked)
        return Heard(network, prepare(used, network))
    first = prepare(used, network)
    if len(network.accents) < 2 or not used:
        return Heard(network, first)
    rest = next(a for a in network.accents if a != network.accent)
    other = network.in_accent(rest)
    second = prepare(used, other)
    gain = _loss(network, first) - _loss(other, second)
    found = (other, second) if gain * len(first) ** 0.5 > ENOUGH else (network, first)
    return Heard(*found, gain)


@torch.no_grad()
def _loss(network: Network, clips: Sequence[Prepared]) -> float:
    """Nats a mel frame of the clips, in the voice of nobody, with their own durations, F0 and energy."""
    loss = network.task_loss(bf16_is_fast(), [])
    params = {k: v.unsqueeze(0) for k, v in network.phi.items()}
    total = frames = 0.0
    for c in clips:
        batch = {k: v.unsqueeze(0) for k, v in network.collate([c.item], [network.encoded(c.item, ())]).items()}
        total += float(loss(params, batch).sum())
        frames += len(c.item.mel)
    return total / frames
