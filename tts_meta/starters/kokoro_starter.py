"""The starter on Kokoro-82M: its weights from their packages, and what differs from them in `kokoro.safetensors`: the
head, the changes of what phase 1 moved (8-bit with a scale a row, or low-rank factors), and the aligner's Gaussians.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tts_meta.audio.mel import HOP, SAMPLE_RATE, mel_bands
from tts_meta.errors import InputError
from tts_meta.kokoro.alignment import SPACE, TokenAligner
from tts_meta.kokoro.clips import Encoded, KokoroItem, collate, make_item, window
from tts_meta.kokoro.register import REGISTER, SIZE, Register, measure
from tts_meta.kokoro.symbols import encode, from_phones
from tts_meta.kokoro.weights import changed_weights
from tts_meta.meta.partition import Partition
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.tree import Tree
from tts_meta.nets.channels_last import lay_out_weights
from tts_meta.nets.eight_bits import unpack
from tts_meta.nets.kokoro.likelihood import KokoroScales
from tts_meta.nets.kokoro.network import QUIET, Kokoro, KokoroConfig, token_index
from tts_meta.nets.kokoro.speaker_loss import MANNER, TIMBRE, SpeakerLoss
from tts_meta.nets.unfilled import Unfilled
from tts_meta.starters.clone_defaults import Adaptation
from tts_meta.starters.gains import GAINS, Gains
from tts_meta.starters.interface import Controls, Network
from tts_meta.starters.kokoro_files import read_files
from tts_meta.text.accents import ACCENTS, BRITISH_PHONES
from tts_meta.text.phonemes import Phone, phonemize

NAME = "kokoro"
DECIBEL = float(np.log(10) / 10)
"""Nats of energy, the logarithm of a power, in one dB."""


@dataclass
class KokoroStarter(Network):
    """The starter on Kokoro-82M, behind the interface of all networks."""

    net: Kokoro
    aligner: TokenAligner
    scales: KokoroScales
    quiet: float = QUIET
    """Nats under a sentence's loud frames where no pitch is drawn; infinite: wherever the network draws one."""

    kind = NAME
    threads = True

    @cached_property
    def checker(self):
        from tts_meta.starters.small_starter import load_starter

        return load_starter()

    @cached_property
    def inventory(self) -> frozenset[str]:
        from tts_meta.starters.small_starter import packaged_symbols

        return packaged_symbols().inventory | BRITISH_PHONES

    @property
    def accents(self) -> tuple[str, ...]:
        return (self.accent, *(a for a in ACCENTS if a != self.accent))

    @property
    def british(self) -> bool:
        return self.accent == "british"

    @property
    def size(self) -> int:
        return sum(p.numel() for p in self.net.parameters())

    def ids(self, phones: Sequence[Phone]) -> list[int]:
        return encode(from_phones([(p.symbol, p.stress) for p in phones], self.british))

    def item(self, clip: Any) -> KokoroItem:
        phones = phonemize(clip.text, self.espeak_voice, inventory=self.inventory)
        f = clip.features
        return make_item(self.ids(phones), f.mel, f.f0, f.samples, self.aligner)

    def item_tensors(self, item: KokoroItem) -> dict[str, np.ndarray]:
        return {k: getattr(item, k) for k in ("ids", "counts", "f0", "energy", "mel")}

    def item_of(self, arrays: dict[str, np.ndarray]) -> KokoroItem:
        return KokoroItem(**arrays)

    def task_loss(self, bf16: bool, modules: Sequence[str]) -> SpeakerLoss:
        """Without the prosody's terms, and their cost, where no module of it is among those that move."""
        prosody = any(m == MANNER or m.startswith("prosody.") for m in modules)
        return SpeakerLoss(self.net, self.scales, bf16, prosody)

    def fixed(self, moved: Sequence[str]) -> Tree:
        return {n: v.unsqueeze(0) for n, v in self.phi.items() if n not in moved}

    @torch.no_grad()
    def encoded(
        self, item: KokoroItem, modules: Sequence[str], params: Mapping[str, Tensor] | None = None, before: Encoded | None = None
    ) -> Encoded:
        """What the text front makes of a clip, no module of which moves; and the acoustic blocks' features where those that
        move are all of the head, which is a quarter of the work of a step."""
        if before is None:
            ids = torch.from_numpy(item.ids)[None]
            read = self.net.read(ids, torch.ones(ids.shape))
            before = Encoded(read.prosody[0], read.sound[0].T.contiguous())
        if not modules or not all(m.startswith("head.") for m in modules):
            return before
        p = self.start(dict(params or {}))
        index = token_index(torch.from_numpy(item.counts))[None]
        f0, energy = torch.from_numpy(item.f0)[None], torch.from_numpy(item.energy)[None]
        features = self.net.features(before.sound.T[None], index, f0, energy, p[TIMBRE], torch.ones(index.shape), p)
        return replace(before, features=features[0].T.contiguous())

    def window(self, item: KokoroItem, encoded: Encoded, rng: torch.Generator) -> tuple[KokoroItem, Encoded]:
        return window(item, encoded, rng)

    def collate(self, items: Sequence[KokoroItem], encoded: Sequence[Any]) -> dict[str, Tensor]:
        return collate(items, encoded)

    def gains(self, deltas: Tree, items: Sequence[KokoroItem]) -> Gains:
        return Gains(np.ones(GAINS, dtype=np.float32), 1.0)  # this network's spread is learned, not put back

    def measured(self, items: Sequence[KokoroItem], encoded: Sequence[Encoded]) -> Tree:
        """The speaker's register: what no step moves, because the clips say it."""
        return {REGISTER: measure(self.net, self.start({}), items, [e.text for e in encoded]).tensor()}

    def start(self, params: Tree) -> Tree:
        """Every parameter `{name: [1, ...]}` of a voice: phi where `params` has none."""
        return {k: params.get(k, v).unsqueeze(0) for k, v in self.phi.items()}

    def mel(
        self, params: Tree, phones: Sequence[Phone], emphasis: Sequence[float], controls: Controls, gains: Gains | None
    ) -> tuple[np.ndarray, np.ndarray]:
        p, net = self.start(params), self.net
        ids: list[int] = []
        strong: list[float] = []
        for phone, weight in zip(phones, emphasis, strict=True):
            # One phone at a time, so that emphasis keeps to its word; marks are followed by their space.
            new = encode(from_phones([(phone.symbol, phone.stress)], self.british))[1:-1]
            if ids and new and _is_mark(ids[-1]) and not _is_mark(new[0]) and new[0] != SPACE:
                ids, strong = [*ids, SPACE], [*strong, 0.0]
            ids, strong = [*ids, *new], [*strong, *[weight] * len(new)]
        tokens = torch.tensor([[0, *ids, 0]])
        emphasised = torch.tensor([[0.0, *strong, 0.0]])
        mask = torch.ones(tokens.shape)
        lengths = torch.tensor([tokens.shape[1]])
        front = net.read(tokens, mask)
        read = net.prosody.read(front.prosody, p[MANNER], mask, lengths, p)
        register = Register.of(p[REGISTER])
        longer = 1 + (controls.emphasis[0] - 1) * emphasised
        expected = register.durations(net.prosody.durations(read, lengths, p)) * longer / controls.speed
        counts = expected.round().clamp(min=1).long()[0]
        index = token_index(counts)[None]
        frames = torch.ones(index.shape)
        f0, energy = net.melody(read, index, p[MANNER], frames, p)
        louder = emphasised.gather(1, index).repeat_interleave(2, 1)
        f0 = register.spoken(f0, energy, self.quiet) * 2 ** ((controls.pitch + controls.emphasis[1] * louder) / 12)
        energy = energy + register.energy + (controls.energy + controls.emphasis[2] * louder) * DECIBEL
        length = net.head.frames(f0.shape[1])
        mel = net.acoustic(front.sound, index, f0, energy, p[TIMBRE], frames, length, torch.ones(1, length), p)
        return mel[0].float().numpy(), counts.int().numpy()


def _is_mark(token: int) -> bool:
    return 1 <= token <= 6


def _changed(base: dict[str, Tensor], tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The original's weights with what the starter's `tensors` add to them."""
    weights = base | unpack(tensors, "net/")
    for key, value in unpack(tensors, "diff/").items():
        weights[key] = weights[key] + value
    left, right = unpack(tensors, "left/"), unpack(tensors, "right/")
    for layer, a in left.items():
        weights[layer] = weights[layer] + (a @ right[layer]).view_as(weights[layer])
    return weights


def load_kokoro(folder: str | Path | None = None, name: str = NAME) -> KokoroStarter:
    """The starter on Kokoro in `folder` (default: the package's). Raises InputError when a part is missing or damaged."""
    root = Path(str(files("tts_meta") / "assets")) if folder is None else Path(folder)
    stored = read_files(root, name)
    tensors, info = stored.weights, stored.info
    weights = changed_weights(stored.weights_digest, lambda base: _changed(base, tensors))
    # Built without memory of its own: but for the convolutions, the weights are the cached file's pages.
    with Unfilled():
        net = Kokoro(KokoroConfig(**info["net"]), torch.zeros(80, 513))
    net.load_state_dict(weights, assign=True)
    lay_out_weights(net)
    net.head.pattern.set_bands(mel_bands())
    net.eval().requires_grad_(False)
    start = unpack(stored.prior, "phi/")
    # In the network's order, not the file's: log_sigma2 is in the order of the modules.
    phi = {n: start[n] for n in (TIMBRE, MANNER, *net.deltas())} | {REGISTER: torch.zeros(SIZE)}
    partition = Partition({n: [n] for n in phi}, phi)
    gaussians = unpack(tensors, "aligner/")
    aligner = TokenAligner.empty(gaussians["mel_mean"].numpy(), gaussians["mel_std"].numpy())
    aligner.net.mean.copy_(gaussians["mean"])
    aligner.net.variance.copy_(gaussians["variance"])
    if partition.modules != [m["name"] for m in info["modules"]]:
        raise InputError(f"{root / name}.json names other modules than this version has; reinstall tts-meta.")
    assert (net.config.rate, net.config.hop) == (SAMPLE_RATE, HOP)
    return KokoroStarter(
        phi, Shrinkage(partition, stored.prior["log_sigma2"].float()), partition,
        {m["name"]: m["sigma_relative"] for m in info["modules"]}, stored.digest, info,
        Adaptation.read(f"{root / name}.json", info["adaptation"]), net, aligner, KokoroScales(**info["scales"]),
    )
