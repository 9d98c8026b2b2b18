"""Kokoro with a voice merged in, as two graphs: text into durations, and tokens that have durations into a mel."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from tts_meta.kokoro.register import REGISTER, Register
from tts_meta.meta.tree import Tree
from tts_meta.nets.kokoro.head import VOICED, MelHead
from tts_meta.nets.kokoro.layers import LowRankConv, LowRankLinear, Movable, StyleAffine
from tts_meta.nets.kokoro.network import Kokoro
from tts_meta.nets.kokoro.speaker_loss import MANNER, TIMBRE


def merged(net: Kokoro, params: Tree) -> Kokoro:
    """A copy of the network whose weights have the voice's changes in them; `params` `{name: [...]}` are phi or the voice's."""
    net = copy.deepcopy(net)
    for layer in net.modules():
        if not isinstance(layer, Movable):
            continue
        own = {kind: params[f"{layer.key}.{kind}"] for kind in layer.sizes() if f"{layer.key}.{kind}" in params}
        if isinstance(layer, StyleAffine) and "shift" in own:
            layer.fc.bias.data = layer.fc.bias + own["shift"]
        if isinstance(layer, LowRankLinear) and "bias" in own:
            layer.linear.bias.data = layer.linear.bias + own["bias"]
        if isinstance(layer, LowRankConv | LowRankLinear) and "factor" in own:
            inner = layer.conv if isinstance(layer, LowRankConv) else layer.linear
            assert layer.down is not None
            inner.weight.data = inner.weight + (own["factor"] @ layer.down.flatten(1)).view_as(inner.weight)
    return net


class Text(nn.Module):
    """ids `[1, P]` -> read `[1, P, 640]`, sound `[1, 512, P]`, expected frames of 25 ms `[1, P]`."""

    def __init__(self, net: Kokoro, params: Tree) -> None:
        super().__init__()
        self.net, self.register = net, Register.of(params[REGISTER])
        self.register_buffer("manner", params[MANNER].unsqueeze(0))

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mask = torch.ones_like(ids, dtype=torch.float32)
        lengths = mask.sum(1).long()
        front = self.net.read(ids, mask)
        read = self.net.prosody.read(front.prosody, self.manner, mask, lengths)  # type: ignore[arg-type]
        return read, front.sound, self.register.durations(self.net.prosody.durations(read, lengths))


class Sound(nn.Module):
    """read, sound and the token of every 25 ms, index `[1, T]`, where the mel's frames lie among the features, at `[L]`, a
    factor of F0, pitch `[1]`, and nats of energy to add, energy `[1]` -> log-mel `[1, L, 80]`."""

    def __init__(self, net: Kokoro, params: Tree, quiet: float) -> None:
        super().__init__()
        self.net, self.register, self.quiet = net, Register.of(params[REGISTER]), quiet
        self.register_buffer("manner", params[MANNER].unsqueeze(0))
        self.register_buffer("timbre", params[TIMBRE].unsqueeze(0))

    def forward(self, read: Tensor, sound: Tensor, index: Tensor, at: Tensor, pitch: Tensor, energy: Tensor) -> Tensor:
        mask = torch.ones_like(index, dtype=torch.float32)
        m, tokens = mask.unsqueeze(1), index[0]
        frames = read.index_select(1, tokens)
        f0, level = self.net.prosody.curves(frames, self.manner, m, mask.sum(1).long())  # type: ignore[arg-type]
        f0 = self.register.spoken(f0, level, self.quiet) * pitch
        level = level + self.register.energy + energy
        features = self.net.blocks(sound.index_select(2, tokens), f0, level, self.timbre, m)  # type: ignore[arg-type]
        return mel_of(self.net.head, features, self.timbre, f0, at)  # type: ignore[arg-type]


def _between(x: Tensor, at: Tensor) -> Tensor:
    """`read_between` of `[1, C, N]` at `[L]` -> `[1, C, L]`, in operators that the exporter knows the axes of."""
    last = x.shape[2] - 1
    at = torch.minimum(at.clamp(min=0.0), torch.ones_like(at) * last)
    low = torch.minimum(at.floor(), torch.ones_like(at) * (last - 1)).clamp(min=0.0)
    part = (at - low).view(1, 1, -1)
    low = low.long()
    a, b = x.index_select(2, low), x.index_select(2, torch.minimum(low + 1, torch.ones_like(low) * last))
    return a + (b - a) * part


def mel_of(head: MelHead, features: Tensor, style: Tensor, f0: Tensor, at: Tensor) -> Tensor:
    """The head's forward, with the places of the mel's frames given: their number depends on the durations, which a graph
    cannot count."""
    x = _between(features * head.scale.view(1, -1, 1) + head.shift.view(1, -1, 1), at)
    voiced = _between((f0 > VOICED).to(f0.dtype).unsqueeze(1), at)
    pattern = head.pattern.draw(voiced, _between(f0.clamp(min=VOICED).unsqueeze(1), at))
    mask = torch.ones_like(voiced)
    x = head.inp(torch.cat([x, pattern], 1))
    for block in head.blocks:
        x = block(x, style, mask)
    y = head.out(nn.functional.leaky_relu(x, 0.1)) * 2 + head.level.view(1, -1, 1)
    return y.transpose(1, 2)
