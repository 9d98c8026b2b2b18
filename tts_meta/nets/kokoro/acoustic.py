"""The acoustic blocks: phonemes spread over frames, F0, energy and timbre -> 512 features at 80 frames a second."""

from __future__ import annotations

from torch import Tensor, nn

from tts_meta.nets.channels_last import Conv1d, join
from tts_meta.nets.kokoro.layers import NONE, AdaINBlock, Deltas


class AcousticBlocks(nn.Module):
    """One AdaIN block, then four that see the phonemes, F0 and energy again; the last doubles the frames."""

    def __init__(self, rank: int, channels: int = 1024, text: int = 512, again: int = 64) -> None:
        super().__init__()
        self.pitch, self.energy = (Conv1d(1, 1, 3, stride=2, padding=1) for _ in range(2))
        self.text = Conv1d(text, again, 1)
        self.encode = AdaINBlock(text + 2, channels, rank)
        more = channels + again + 2
        self.decode = nn.ModuleList(
            [AdaINBlock(more, channels, rank) for _ in range(3)] + [AdaINBlock(more, text, rank, up=True)]
        )

    def forward(
        self, text: Tensor, f0: Tensor, energy: Tensor, style: Tensor, mask: Tensor, deltas: Deltas = NONE
    ) -> Tensor:
        """text `[B, 512, T]`, f0 (Hz) and energy (nats) `[B, 2 T]`, style `[B, 128]`, mask `[B, 1, T]` -> `[B, 512, 2 T]`."""
        curves = join([self.pitch(f0.unsqueeze(1)), self.energy(energy.unsqueeze(1))]) * mask
        x = self.encode(join([text, curves]), style, mask, deltas)
        again = join([self.text(text) * mask, curves])
        for block in self.decode:
            x = block(join([x, again]), style, mask, deltas)
        return x
