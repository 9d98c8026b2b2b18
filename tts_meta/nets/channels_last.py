"""1-D convolutions whose memory lies channels last: `[B, C, L]` in shape, `[B, L, C]` in memory.

oneDNN multiplies matrices of channels. Of torch's own layout it makes that one before every convolution, and undoes it
after; its 1-D convolutions keep no layout, so these are 2-D ones over one row. The numbers are the same to rounding
(`recipes/bench/bench_layout.py` has the times: the vocoder, which convolves longest, gains most).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Network = TypeVar("Network", bound=nn.Module)


def lay_out(x: Tensor) -> Tensor:
    """`[..., C, L]`, the same numbers, channels last in memory; no copy where they lie so already."""
    return x.transpose(-1, -2).contiguous().transpose(-1, -2)


class Conv1d(nn.Conv1d):
    """torch's, by the other layout; zero padding only."""

    def forward(self, input: Tensor) -> Tensor:
        """`[B, C, L]` -> `[B, C', L']`."""
        assert self.padding_mode == "zeros"  # another network's may be something else
        if self.kernel_size == (1,) and self.stride == (1,) and self.groups == 1:
            return point_conv(input, self.weight, self.bias)
        x, w = (lay_out(v).unsqueeze(-2) for v in (input, self.weight))
        y = F.conv2d(x, w, self.bias, (1, *self.stride), (0, *self.padding), (1, *self.dilation), self.groups)  # type: ignore[arg-type]
        return y.squeeze(-2)


def point_conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A convolution of one frame, x `[B, C, L]` and weight `[C', C, 1]` -> `[B, C', L]`: one matrix product."""
    return F.linear(x.transpose(1, 2), weight.squeeze(-1), bias).transpose(1, 2)


def same_conv(x: Tensor, weight: Tensor) -> Tensor:
    """Convolution with as many frames after as before, weight `[C', C, k]` of odd k, no bias."""
    if weight.shape[-1] == 1:
        return point_conv(x, weight)
    return F.conv2d(lay_out(x).unsqueeze(-2), lay_out(weight).unsqueeze(-2), padding=(0, weight.shape[-1] // 2)).squeeze(-2)


def join(parts: Sequence[Tensor]) -> Tensor:
    """Channels of several `[B, C, L]` after one another; `torch.cat` would change the layout on the way."""
    return torch.cat([p.transpose(1, 2) for p in parts], -1).transpose(1, 2)


class ConvTranspose1d(nn.ConvTranspose1d):
    """torch's, by the other layout."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """`[B, C, L]` -> `[B, C', L']`."""
        assert output_size is None
        x, w = (lay_out(v).unsqueeze(-2) for v in (input, self.weight))
        more = (0, *self.output_padding)
        y = F.conv_transpose2d(x, w, self.bias, (1, *self.stride), (0, *self.padding), more, self.groups, (1, *self.dilation))  # type: ignore[arg-type]
        return y.squeeze(-2)


def lay_out_weights(network: Network) -> Network:
    """Lay the weights of our convolutions out once for all, in place; those of a file come in torch's layout, and are
    copied into the other one at every call."""
    for layer in network.modules():
        if isinstance(layer, Conv1d | ConvTranspose1d):
            layer.weight.data = lay_out(layer.weight.data)
    return network


def channels_last(network: Network) -> Network:
    """Give every 1-D convolution of somebody else's network this layout, in place, and its weights once for all."""
    for layer in network.modules():
        for theirs, ours in ((nn.Conv1d, Conv1d), (nn.ConvTranspose1d, ConvTranspose1d)):
            if type(layer) is theirs:
                layer.__class__ = ours  # the same parameters and options; only forward differs
    return lay_out_weights(network)
