"""The loss of T speakers at once, in the form that the learning core asks for: (params, batch) -> `[T]`.

params `{name: [T, ...]}` are the two styles and the deltas, batch `[T, n, ...]` are n clips of each speaker.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tts_meta.nets.kokoro.likelihood import KokoroScales, mel_terms, prosody_terms
from tts_meta.nets.kokoro.network import Kokoro

TIMBRE, MANNER = "timbre", "manner"
"""The two styles among the parameters: of the sound, and of the prosody."""


def speaker_parameters(network: Kokoro, timbre: Tensor, manner: Tensor) -> dict[str, Tensor]:
    """What a speaker may move at its start: the styles `[128]` given, every delta 0."""
    zero = {name: timbre.new_zeros(shape) for name, shape in network.deltas().items()}
    return {TIMBRE: timbre.clone(), MANNER: manner.clone(), **zero}


def predicted(network: Kokoro, params: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
    """Log-mels `[B, L, 80]` of clips with the prosody of their recordings: params `{name: [B, ...]}`, batch `[B, ...]`.

    `heard_f0` and `heard_energy` in the batch are what the acoustic blocks get in place of the recorded curves; `features`
    `[B, 512, 2 T]` are what those blocks, where nothing of them moves, made of the recorded ones.
    """
    f0, level = batch.get("heard_f0", batch["f0"]), batch.get("heard_energy", batch["energy"])
    frames, mask, timbre = batch["mel"].shape[1], batch["frame_mask"], params[TIMBRE]
    if "features" in batch:
        return network.head(batch["features"], timbre, f0, frames, mask.unsqueeze(1), params)
    return network.acoustic(batch["sound"], batch["index"], f0, level, timbre, batch["mask"], frames, mask, params)


def parts(network: Kokoro, params: dict[str, Tensor], batch: dict[str, Tensor], prosody: bool = True) -> dict[str, Tensor]:
    """The likelihood's terms of every clip, each `[B]`: params `{name: [B, ...]}`, batch `[B, ...]` as `predicted` takes them."""
    mel, manner = predicted(network, params, batch), params[MANNER]
    absolute, spread = mel_terms(mel.to(batch["mel"]), batch["mel"], batch["frame_mask"])
    found = {"mel": absolute, "spread": spread}
    if prosody:
        lengths = batch["token_mask"].sum(1).long().cpu()
        read = network.prosody.read(batch["text"], manner, batch["token_mask"], lengths, params)
        durations = network.prosody.durations(read, lengths, params)
        f0, energy = network.melody(read, batch["index"], manner, batch["mask"], params)
        like = batch["f0"]
        terms = prosody_terms(durations.to(like), f0.to(like), energy.to(like), batch)
        found |= dict(zip(("duration", "pitch", "voicing", "energy"), terms, strict=True))
    return found


def by_clip(params: dict[str, Tensor], batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(params, batch) of T speakers with n clips each as T n rows."""
    clips = batch["mel"].shape[1]
    rows = {k: v.unsqueeze(1).expand(-1, clips, *v.shape[1:]).flatten(0, 1) for k, v in params.items()}
    return rows, {k: v.flatten(0, 1) for k, v in batch.items() if k != "weight"}


def by_speaker(nats: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Sums `[T]` over each speaker's clips of `[T n]`, scaled to the whole support set."""
    total = nats.view(batch["mel"].shape[:2]).sum(1)
    return total * batch["weight"] if "weight" in batch else total


class SpeakerLoss:
    """Negative log-likelihood (nats) of every speaker's clips, scaled to the whole support set by `batch["weight"]`."""

    def __init__(self, network: Kokoro, scales: KokoroScales, bf16: bool = False, prosody: bool = True) -> None:
        self.network, self.scales, self.bf16, self.prosody = network, scales, bf16, prosody

    def __call__(self, params: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
        rows, flat = by_clip(params, batch)
        with torch.autocast(flat["mel"].device.type, torch.bfloat16, enabled=self.bf16):
            found = parts(self.network, rows, flat, self.prosody)
        return by_speaker(self.nats(found) * flat["frame_mask"].sum(1) * flat["mel"].shape[-1], batch)

    def expected_curvature(self, params: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
        """`[T]`: zero, and so is its gradient; its Hessian is the Fisher information J' J / scale^2 of the mel's Laplace
        likelihood, J the derivatives of the mel. |x| itself has no second derivative but at 0, and what is left of its Hessian,
        the network's own curvature times the signs of the errors, is not that of a minimum."""
        rows, flat = by_clip(params, batch)
        with torch.autocast(flat["mel"].device.type, torch.bfloat16, enabled=self.bf16):
            mel = predicted(self.network, rows, flat).to(flat["mel"])
        moved = (mel - mel.detach()) * flat["frame_mask"].unsqueeze(-1)
        return by_speaker(0.5 * (moved / self.scales.mel).square().sum((1, 2)), batch)

    def nats(self, found: dict[str, Tensor]) -> Tensor:
        """Nats a number of the mel, `[B]`."""
        s = self.scales
        weights = {"mel": 1.0, "spread": s.spread, "duration": s.duration, "pitch": s.pitch, "voicing": s.voicing,
                   "energy": s.energy}
        total = sum(weights[k] * v for k, v in found.items())
        assert isinstance(total, Tensor)
        return total / s.mel

