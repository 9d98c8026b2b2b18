"""Durations, frame-wise F0 and energy from the phonemes and the prosody half of the style (StyleTTS 2's predictor)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tts_meta.nets.kokoro.layers import NONE, STYLE, AdaINBlock, AdaLayerNorm, BiLSTM, Deltas, LowRankConv, LowRankLinear

LONGEST_FRAMES = 50
"""Bins of a duration: each says with what probability the phoneme lasts one frame (25 ms) longer."""


class Line(nn.Module):
    """A curve at 80 values a second from features at 40: F0 (Hz) or energy (nats)."""

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        half = channels // 2
        self.blocks = nn.ModuleList([
            AdaINBlock(channels, channels, rank), AdaINBlock(channels, half, rank, up=True), AdaINBlock(half, half, rank),
        ])
        self.out = LowRankConv(half, 1, 1, rank)

    def forward(self, x: Tensor, style: Tensor, mask: Tensor, deltas: Deltas = NONE) -> Tensor:
        """x `[B, C, T]` -> `[B, 2 T]`."""
        for block in self.blocks:
            x = block(x, style, mask, deltas)
            if x.shape[-1] != mask.shape[-1]:
                mask = mask.repeat_interleave(2, -1)
        return (self.out(x, deltas) * mask).squeeze(1)


class Prosody(nn.Module):
    """Durations, F0 and energy from the text and the manner style (StyleTTS 2, Li et al. 2023, section 3.2)."""

    def __init__(self, rank: int, channels: int = 512, layers: int = 3) -> None:
        super().__init__()
        self.lstms = nn.ModuleList(BiLSTM(channels + STYLE, channels) for _ in range(layers))
        self.norms = nn.ModuleList(AdaLayerNorm(channels) for _ in range(layers))
        self.rhythm = BiLSTM(channels + STYLE, channels)
        self.duration = LowRankLinear(channels, LONGEST_FRAMES, rank)
        self.shared = BiLSTM(channels + STYLE, channels)
        self.pitch, self.energy = Line(channels, rank), Line(channels, rank)

    def read(self, text: Tensor, style: Tensor, mask: Tensor, lengths: Tensor, deltas: Deltas = NONE) -> Tensor:
        """PL-BERT's output `[B, P, 512]`, style `[B, 128]` -> what durations and curves are made of, `[B, P, 640]`."""
        m = mask.unsqueeze(-1)
        s = style.unsqueeze(1).expand(-1, text.shape[1], -1)
        x = torch.cat([text, s], -1) * m
        for lstm, norm in zip(self.lstms, self.norms, strict=True):
            x = torch.cat([norm(lstm(x, lengths), style, deltas), s], -1) * m
        return x

    def durations(self, read: Tensor, lengths: Tensor, deltas: Deltas = NONE) -> Tensor:
        """Expected frames (25 ms) of every token, `[B, P]`."""
        return torch.sigmoid(self.duration(self.rhythm(read, lengths), deltas)).sum(-1)

    def curves(
        self, frames: Tensor, style: Tensor, mask: Tensor, lengths: Tensor, deltas: Deltas = NONE
    ) -> tuple[Tensor, Tensor]:
        """`read` spread over the frames `[B, T, 640]`, mask `[B, 1, T]` -> F0 (Hz) and energy (nats), each `[B, 2 T]`."""
        x = self.shared(frames, lengths).transpose(1, 2) * mask
        return self.pitch(x, style, mask, deltas), self.energy(x, style, mask, deltas)
