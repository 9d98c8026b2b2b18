"""What reads the phonemes: PL-BERT (Li et al. 2023, an ALBERT over phonemes) for the prosody, and a convolutional text
encoder for the sound. Neither depends on the speaker and neither moves: a clone computes them once a clip.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_meta.nets.channels_last import Conv1d
from tts_meta.nets.kokoro.layers import SLOPE, BiLSTM

SYMBOLS = 178
LONGEST = 512
"""Tokens, silence at both ends counted, that PL-BERT has positions for."""


class PhonemeBert(nn.Module):
    """ALBERT (Lan et al. 2020): one layer of 768 channels applied twelve times."""

    def __init__(self, embedding: int = 128, hidden: int = 768, inner: int = 2048, heads: int = 12, repeats: int = 12) -> None:
        super().__init__()
        self.heads, self.repeats = heads, repeats
        self.symbol = nn.Embedding(SYMBOLS, embedding)
        self.position = nn.Embedding(LONGEST, embedding)
        self.kind = nn.Parameter(torch.zeros(embedding))  # the token type, of which there is one
        self.norm = nn.LayerNorm(embedding, eps=1e-12)
        self.inp = nn.Linear(embedding, hidden)
        self.query, self.key, self.value, self.out = (nn.Linear(hidden, hidden) for _ in range(4))
        self.attention_norm = nn.LayerNorm(hidden, eps=1e-12)
        self.up, self.down = nn.Linear(hidden, inner), nn.Linear(inner, hidden)
        self.final_norm = nn.LayerNorm(hidden, eps=1e-12)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids `[B, P]`, mask `[B, P]` (1 on tokens) -> `[B, P, 768]`."""
        x = self.symbol(ids) + self.position.weight[: ids.shape[1]] + self.kind
        x = self.inp(self.norm(x))
        keep = (mask > 0)[:, None, None, :]
        for _ in range(self.repeats):
            q, k, v = (f(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
            a = F.scaled_dot_product_attention(q, k, v, attn_mask=keep).transpose(1, 2).flatten(-2)
            x = self.attention_norm(x + self.out(a))
            x = self.final_norm(x + self.down(F.gelu(self.up(x), approximate="tanh")))
        return x


class ChannelNorm(nn.Module):
    """Layer norm over the channels of `[B, C, P]`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.transpose(1, 2), self.gamma.shape, self.gamma, self.beta).transpose(1, 2)


class TextEncoder(nn.Module):
    """Three convolutions of width 5 and a bidirectional LSTM."""

    def __init__(self, channels: int = 512, kernel: int = 5, depth: int = 3) -> None:
        super().__init__()
        self.symbol = nn.Embedding(SYMBOLS, channels)
        self.convs = nn.ModuleList(Conv1d(channels, channels, kernel, padding=kernel // 2) for _ in range(depth))
        self.norms = nn.ModuleList(ChannelNorm(channels) for _ in range(depth))
        self.lstm = BiLSTM(channels, channels)

    def forward(self, ids: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        """ids, mask `[B, P]`, lengths `[B]` -> `[B, 512, P]`."""
        m = mask.unsqueeze(1)
        x = self.symbol(ids).transpose(1, 2) * m
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), SLOPE) * m
        return self.lstm(x.transpose(1, 2), lengths).transpose(1, 2) * m
