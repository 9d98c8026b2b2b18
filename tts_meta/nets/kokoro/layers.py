"""The layers of StyleTTS 2's acoustic half (Li et al. 2023), with the places where a speaker may move them.

A layer's own weights are shared by all clips of a batch. What one speaker moves is a `Deltas` dictionary of small
tensors with a leading axis over the clips of the batch (1 = the same for all), so that many speakers go through the
network at once without a copy of it each:

- `<layer>.factor` `[B, out, r]`: a low-rank update of a convolution or projection, W + factor @ down. `down`
  `[r, in, k]` is a weight of the network like any other, so that an update is linear in what moves.
- `<layer>.shift` `[B, 2 C]`: added to the scales and shifts that an adaptive norm makes of the style. For one speaker
  this is all that the affine's weights could do.
- `<layer>.bias` `[B, out]`: added to a projection's bias.

Instance norm and convolutions never see padding: `mask` `[B, 1, L]` is 1 on the frames of a clip.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_meta.nets.channels_last import Conv1d, same_conv

Deltas = Mapping[str, Tensor]
NONE: Deltas = {}
STYLE = 128
SLOPE = 0.2


class Movable(nn.Module):
    """A layer that knows its qualified name in the network (`name_layers`), under which its deltas are found."""

    key = ""

    def own(self, deltas: Deltas, kind: str) -> Tensor | None:
        return deltas.get(f"{self.key}.{kind}")

    def sizes(self) -> dict[str, tuple[int, ...]]:
        """{kind: shape without the leading axis} of what may move here."""
        raise NotImplementedError


def name_layers(network: nn.Module) -> None:
    """Tell every Movable of `network` its qualified name."""
    for name, layer in network.named_modules():
        if isinstance(layer, Movable):
            layer.key = name


class LowRankConv(Movable):
    """A convolution that a speaker may move by a low-rank update: y = conv(x) + factor (down * x)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, rank: int, bias: bool = True) -> None:
        super().__init__()
        self.conv = Conv1d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
        self.down = nn.Parameter(torch.randn(rank, inputs, kernel) / (inputs * kernel) ** 0.5) if rank else None

    def sizes(self) -> dict[str, tuple[int, ...]]:
        return {} if self.down is None else {"factor": (self.conv.out_channels, self.down.shape[0])}

    def forward(self, x: Tensor, deltas: Deltas = NONE) -> Tensor:
        """x `[B, in, L]` -> `[B, out, L]`."""
        y = self.conv(x)
        factor = self.own(deltas, "factor")
        if factor is None or self.down is None:
            return y
        # Frames before channels, the layout that y has in memory.
        low = same_conv(x, self.down).transpose(1, 2)
        return y + (low @ factor.to(low).transpose(-1, -2)).transpose(1, 2)


class LowRankLinear(Movable):
    """A projection with a low-rank update and a bias that may move."""

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.down = nn.Parameter(torch.randn(rank, inputs) / inputs**0.5) if rank else None

    def sizes(self) -> dict[str, tuple[int, ...]]:
        out = self.linear.out_features
        return {"bias": (out,)} | ({} if self.down is None else {"factor": (out, self.down.shape[0])})

    def forward(self, x: Tensor, deltas: Deltas = NONE) -> Tensor:
        """x `[B, L, in]` -> `[B, L, out]`."""
        y = self.linear(x)
        factor, bias = self.own(deltas, "factor"), self.own(deltas, "bias")
        if factor is not None and self.down is not None:
            y = y + (x @ self.down.T) @ factor.transpose(-1, -2)
        return y if bias is None else y + bias.unsqueeze(-2)


class StyleAffine(Movable):
    """Scale and shift of every channel from the style: `[B, 128]` -> two of `[B, C]`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(STYLE, 2 * channels)

    def sizes(self) -> dict[str, tuple[int, ...]]:
        return {"shift": (self.fc.out_features,)}

    def forward(self, style: Tensor, deltas: Deltas = NONE) -> tuple[Tensor, Tensor]:
        h = self.fc(style)
        shift = self.own(deltas, "shift")
        scale, offset = (h if shift is None else h + shift).chunk(2, dim=-1)
        return scale, offset


class AdaIN(nn.Module):
    """Instance norm over a clip's own frames, then the style's scale and shift (Huang & Belongie 2017)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.affine = StyleAffine(channels)

    def forward(self, x: Tensor, style: Tensor, mask: Tensor, deltas: Deltas = NONE) -> Tensor:
        """x `[B, C, L]`, style `[B, 128]`, mask `[B, 1, L]` -> `[B, C, L]`, not masked."""
        scale, shift = self.affine(style, deltas)
        x = x.float() if x.dtype == torch.bfloat16 else x  # means over hundreds of frames need more than 8 bits
        count = mask.sum(-1, keepdim=True).clamp(min=1.0)
        mean = (x * mask).sum(-1, keepdim=True) / count
        centred = (x - mean) * mask
        variance = (centred * centred).sum(-1, keepdim=True) / count
        # Few passes over the frames: they are most of what is not a convolution.
        return torch.addcmul(shift.unsqueeze(-1), centred, torch.rsqrt(variance + 1e-5) * (1 + scale).unsqueeze(-1))


class AdaLayerNorm(nn.Module):
    """Layer norm over channels, then the style's scale and shift."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.affine = StyleAffine(channels)

    def forward(self, x: Tensor, style: Tensor, deltas: Deltas = NONE) -> Tensor:
        """x `[B, L, C]`, style `[B, 128]` -> `[B, L, C]`."""
        scale, shift = self.affine(style, deltas)
        return F.layer_norm(x, (self.channels,)) * (1 + scale).unsqueeze(-2) + shift.unsqueeze(-2)


class Upsample(nn.Module):
    """Twice as many frames by a depthwise transposed convolution: frame t of the output is made of t / 2 and its neighbour."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.5, 1.0, 0.5]).repeat(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, L]` -> `[B, C, 2 L]`. Written out: transposed depthwise convolutions are slow on a CPU."""
        w0, w1, w2 = self.weight[:, 0].unbind(-1)
        y = x.transpose(1, 2)
        following = F.pad(y[:, 1:], (0, 0, 0, 1))
        even = y * w1 + self.bias
        odd = y * w2 + following * w0 + self.bias
        return torch.stack([even, odd], dim=2).flatten(1, 2).transpose(1, 2)


class AdaINBlock(nn.Module):
    """conv(lrelu(AdaIN(conv(lrelu(AdaIN(x)))))) + x, over sqrt 2; `up` doubles the frames."""

    def __init__(self, inputs: int, outputs: int, rank: int, up: bool = False) -> None:
        super().__init__()
        self.norm1, self.norm2 = AdaIN(inputs), AdaIN(outputs)
        self.conv1 = LowRankConv(inputs, outputs, 3, rank)
        self.conv2 = LowRankConv(outputs, outputs, 3, rank)
        self.skip = LowRankConv(inputs, outputs, 1, rank, bias=False) if inputs != outputs else None
        self.pool = Upsample(inputs) if up else None

    def forward(self, x: Tensor, style: Tensor, mask: Tensor, deltas: Deltas = NONE) -> Tensor:
        """x `[B, in, L]` and mask `[B, 1, L]` -> `[B, out, L]`, or 2 L frames with `up`; zero on padding."""
        y = F.leaky_relu(self.norm1(x, style, mask, deltas), SLOPE) * mask
        after = mask
        if self.pool is not None:
            after = mask.repeat_interleave(2, -1)
            # The repetition along the frames in memory's own order.
            y, x = self.pool(y) * after, x.transpose(1, 2).repeat_interleave(2, 1).transpose(1, 2)
        y = self.conv1(y, deltas)
        y = F.leaky_relu(self.norm2(y, style, after, deltas), SLOPE) * after
        y = self.conv2(y, deltas)
        short = x if self.skip is None else self.skip(x, deltas)
        return (y + short) * (2**-0.5) * after


class BiLSTM(nn.Module):
    """A bidirectional LSTM over sequences of unequal length. Its weights are shared by all speakers."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, outputs // 2, batch_first=True, bidirectional=True)

    def train(self, mode: bool = True) -> BiLSTM:
        """cuDNN gives an LSTM no gradient in evaluation mode; this one has no dropout, so both modes are the same."""
        super().train(mode)
        self.lstm.train(True)
        return self

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x `[B, L, in]`, lengths `[B]` (on the CPU) -> `[B, L, out]`, zero on padding."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.float() if x.dtype == torch.bfloat16 else x
            if x.shape[0] == 1 and int(lengths[0]) == x.shape[1]:
                return self.lstm(x)[0]
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            y, _ = self.lstm(packed)
            return nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0]
