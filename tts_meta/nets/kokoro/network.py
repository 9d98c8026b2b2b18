"""Kokoro-82M as a network that can be adapted: StyleTTS 2's text front, prosody and acoustic blocks, and a mel head.

Kokoro is Hexgrad's open model (Apache-2.0). Everything here takes batches of clips of unequal length and of several
speakers; what a speaker moves comes as `Deltas` (`tts_meta.nets.kokoro.layers`), beside two styles `[B, 128]`: timbre
and prosody.

The LSTMs have no deltas: their weights are 7 M numbers that the styles and the norms after them already steer, and
fused LSTM kernels have no batch of weights. Gradients, and second derivatives, go through them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from tts_meta.nets.kokoro.acoustic import AcousticBlocks
from tts_meta.nets.kokoro.head import MelHead
from tts_meta.nets.kokoro.layers import NONE, Deltas, Movable, name_layers
from tts_meta.nets.kokoro.prosody import Prosody
from tts_meta.nets.kokoro.text import PhonemeBert, TextEncoder


@dataclass(frozen=True)
class KokoroConfig:
    """`rank` of the low-rank updates of the acoustic blocks, `head_rank` of the head's, `prosody_rank` of the predictor's."""

    rank: int = 16
    head_rank: int = 16
    prosody_rank: int = 8
    head_channels: int = 448
    head_layers: int = 6
    rate: int = 22050
    hop: int = 256

    def to_dict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Read:
    """What does not depend on the speaker: `[B, P, 512]` for the prosody, `[B, 512, P]` for the sound."""

    prosody: Tensor
    sound: Tensor


class Kokoro(nn.Module):
    """Kokoro-82M without its generator, with a mel head; what may move is given from outside as speaker parameters."""

    def __init__(self, config: KokoroConfig, bands: Tensor) -> None:
        """`bands` `[80, F]` is the mel filter bank of the vocoder."""
        super().__init__()
        self.config = c = config
        self.bert = PhonemeBert()
        self.bert_out = nn.Linear(768, 512)
        self.text = TextEncoder()
        self.prosody = Prosody(c.prosody_rank)
        self.blocks = AcousticBlocks(c.rank)
        self.head = MelHead(c.head_rank, bands, c.rate, c.hop, c.head_channels, c.head_layers)
        name_layers(self)

    def deltas(self) -> dict[str, tuple[int, ...]]:
        """{name: shape} of everything a speaker may move beside the two styles."""
        return {
            f"{layer.key}.{kind}": shape
            for layer in self.modules() if isinstance(layer, Movable) for kind, shape in layer.sizes().items()
        }

    def read(self, ids: Tensor, mask: Tensor) -> Read:
        """ids, mask `[B, P]` -> Read."""
        lengths = mask.sum(1).long().cpu()
        return Read(self.bert_out(self.bert(ids, mask)), self.text(ids, mask, lengths))

    def acoustic(
        self, sound: Tensor, index: Tensor, f0: Tensor, energy: Tensor, timbre: Tensor, mask: Tensor, frames: int,
        frame_mask: Tensor, deltas: Deltas = NONE,
    ) -> Tensor:
        """Log-mel `[B, L, 80]` from sound `[B, 512, P]`, the token of every 25 ms `index` `[B, T]`, f0 and energy `[B, 2 T]`,
        timbre `[B, 128]`, mask `[B, T]` and frame_mask `[B, L]`."""
        x = self.features(sound, index, f0, energy, timbre, mask, deltas)
        return self.head(x, timbre, f0, frames, frame_mask.unsqueeze(1), deltas)

    def features(
        self, sound: Tensor, index: Tensor, f0: Tensor, energy: Tensor, timbre: Tensor, mask: Tensor, deltas: Deltas = NONE
    ) -> Tensor:
        """What the head makes a mel of, `[B, 512, 2 T]`; arguments as of `acoustic`."""
        m = mask.unsqueeze(1)
        return self.blocks(spread(sound, index) * m, f0, energy, timbre, m, deltas)

    def melody(
        self, read: Tensor, index: Tensor, style: Tensor, mask: Tensor, deltas: Deltas = NONE
    ) -> tuple[Tensor, Tensor]:
        """F0 (Hz) and energy (nats) `[B, 2 T]` from the prosody's `read` `[B, P, 640]` and `index`, mask `[B, T]`."""
        frames = spread(read.transpose(1, 2), index).transpose(1, 2) * mask.unsqueeze(-1)
        return self.prosody.curves(frames, style, mask.unsqueeze(1), mask.sum(1).long().cpu(), deltas)


def spread(x: Tensor, index: Tensor) -> Tensor:
    """`[B, C, P]` and the token of every frame `[B, T]` -> `[B, C, T]`, channels last in memory."""
    return x.transpose(1, 2).gather(1, index.unsqueeze(-1).expand(-1, -1, x.shape[1])).transpose(1, 2)


def token_index(frames: Tensor) -> Tensor:
    """Frames of each token of one utterance `[P]` (integers) -> the token of every frame `[T]`."""
    return torch.repeat_interleave(torch.arange(len(frames), device=frames.device), frames)


QUIET, LOUDEST = 3.0, 0.1
"""Nats under the loud frames, which the loudest tenth of the voiced ones are, where no pitch is heard any more."""


def audible(f0: Tensor, energy: Tensor, quiet: float = QUIET) -> Tensor:
    """F0 `[B, N]` (Hz, 0 unvoiced) with 0 in the frames whose energy `[B, N]` (nats) is `quiet` under the sentence's loud ones.

    The predictor draws F0 into closures and pauses, in 0.71 of all frames; in recordings, which a voice is learned from, a
    tracker hears one in half of them (docs/kokoro.md).
    """
    voiced = f0 > 0
    ordered = torch.where(voiced, energy, torch.full_like(energy, -torch.inf)).sort(1, descending=True).values
    loud = ordered.gather(1, (voiced.sum(1, keepdim=True) * LOUDEST).long())
    return torch.where(voiced & (energy > loud - quiet), f0, torch.zeros_like(f0))


HARD = 0.5
"""Share of the running F0 under which a falling curve is the edge of an unvoiced stretch and no pitch."""


def hard_voicing(f0: Tensor, floor: float = 60.0) -> Tensor:
    """F0 `[..., N]` (Hz) with 0 where it is not voiced.

    The predictor draws F0 through 0 in unvoiced stretches, with edges some frames long, which are no pitch; measured F0
    has none. A frame is voiced where it is over `floor` and over HARD times the largest of the seven frames around it.
    """
    shape = f0.shape
    rows = f0.reshape(-1, 1, shape[-1])
    around = torch.nn.functional.max_pool1d(rows, 7, 1, 3)
    voiced = (rows > floor) & (rows > HARD * around)
    return torch.where(voiced, rows, torch.zeros_like(rows)).reshape(shape)
