"""Kokoro with a voice merged in, as two graphs: text into durations, and tokens that have durations into a mel."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from tts_meta.kokoro.register import REGISTER, Register
from tts_meta.meta.tree import Tree
from tts_meta.nets.kokoro.head import VOICED, MelHead, read_between
from tts_meta.nets.kokoro.layers import LowRankConv, LowRankLinear, Movable, StyleAffine
from tts_meta.nets.kokoro.network import Kokoro, hard_voicing, spread
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

    def __init__(self, net: Kokoro, params: Tree) -> None:
        super().__init__()
        self.net, self.register = net, Register.of(params[REGISTER])
        self.register_buffer("manner", params[MANNER].unsqueeze(0))
        self.register_buffer("timbre", params[TIMBRE].unsqueeze(0))

    def forward(self, read: Tensor, sound: Tensor, index: Tensor, at: Tensor, pitch: Tensor, energy: Tensor) -> Tensor:
        mask = torch.ones_like(index, dtype=torch.float32)
        f0, level = self.net.melody(read, index, self.manner, mask)  # type: ignore[arg-type]
        f0, level = self.register.pitch(hard_voicing(f0)) * pitch, level + self.register.energy + energy
        m = mask.unsqueeze(1)
        features = self.net.blocks(spread(sound, index) * m, f0, level, self.timbre, m)
        return mel_of(self.net.head, features, self.timbre, f0, at)  # type: ignore[arg-type]


def mel_of(head: MelHead, features: Tensor, style: Tensor, f0: Tensor, at: Tensor) -> Tensor:
    """The head's forward, with the places of the mel's frames given: their number depends on the durations, which a graph
    cannot count."""
    x = read_between(features * head.scale.unsqueeze(-1) + head.shift.unsqueeze(-1), at)
    voiced = read_between((f0 > VOICED).to(f0.dtype), at).unsqueeze(1)
    pattern = head.pattern.draw(voiced, read_between(f0.clamp(min=VOICED), at).unsqueeze(1))
    mask = torch.ones_like(voiced)
    x = head.inp(torch.cat([x, pattern], 1))
    for block in head.blocks:
        x = block(x, style, mask)
    y = head.out(nn.functional.leaky_relu(x, 0.1)) * 2 + head.level.unsqueeze(-1)
    return y.transpose(1, 2)
