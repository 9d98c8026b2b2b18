"""The small network with a voice merged in, as two graphs: phones into durations, and phones that have durations into a mel."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from tts_meta.data.batch import Normaliser, harmonic_pattern
from tts_meta.meta.tree import Tree
from tts_meta.nets.acoustic import AcousticModel
from tts_meta.nets.cepstra import cepstral_basis
from tts_meta.starters.gains import Gains
from tts_meta.starters.variance import stretch_melody


def merged(model: AcousticModel, params: Tree) -> AcousticModel:
    """A copy of the model whose parameters are the voice's, where `params` `{name: [...]}` has them."""
    model = copy.deepcopy(model)
    own = dict(model.named_parameters())
    for name, value in params.items():
        own[name].data = value.clone()
    return model


class Text(nn.Module):
    """ids and stress `[1, P]` -> h `[1, H, P]`, level `[1, P]` (normalised energy), expected frames `[1, P]`, and line
    `[1, P]`: normalised log F0 at the phones' centres."""

    def __init__(self, model: AcousticModel, gains: Gains) -> None:
        super().__init__()
        self.model, self.gain = model, gains.pitch

    def forward(self, ids: Tensor, stress: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mask = torch.ones_like(ids, dtype=torch.float32)
        h = self.model.encode(ids, stress, mask)
        duration, f0, level = self.model.predict(h, mask)
        return h, level, duration.exp(), stretch_melody(f0, self.gain)


class Sound(nn.Module):
    """h, level, the phone of every frame, index `[1, L]` (L even), since and length `[1, L]`: frames from the phone's start to
    the frame's centre, and of the phone, contour `[1, L]`: log F0, a factor of F0, pitch `[1]`, and nats of power to add,
    energy `[1]` -> log-mel `[1, L, 80]`. The last frame is padding where the durations' sum is odd; kept `[1]` is that sum."""

    def __init__(self, model: AcousticModel, norm: Normaliser, gains: Gains) -> None:
        super().__init__()
        self.model, self.norm = model, norm
        full = np.ones(model.config.mels, dtype=np.float32)
        full[: len(gains.cepstra)] = gains.cepstra
        for name, value in (("stretch", full), ("mean", norm.mel_mean), ("std", norm.mel_std)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32))
        self.register_buffer("basis", cepstral_basis(model.config.mels, model.config.mels).float())

    def forward(
        self, h: Tensor, level: Tensor, index: Tensor, since: Tensor, length: Tensor, contour: Tensor, kept: Tensor,
        pitch: Tensor, energy: Tensor,
    ) -> Tensor:
        f0 = torch.exp(contour * self.norm.pitch_std + self.norm.pitch_mean) * pitch
        scalars = [
            (f0.clamp(min=30.0).log() - 5.0) / 0.4, since / length, since.clamp(max=20) / 20,
            (length - since).clamp(max=20) / 20, length.log() / 3,
        ]
        batch = {
            "energy": level + energy / 2 / self.norm.energy_std, "frame_phone": index, "frame_mask": torch.ones_like(since),
            "frame_features": torch.cat([torch.stack(scalars, dim=-1), harmonic_pattern(f0)], dim=-1),
        }
        cepstra = self.model.decode(h, batch)[:, : kept[0]] @ self.basis.T  # type: ignore[union-attr, operator, misc]
        middle = cepstra.mean(1, keepdim=True)
        mel = ((cepstra - middle) * self.stretch + middle) @ self.basis  # type: ignore[operator]
        return mel * self.std + self.mean  # type: ignore[operator]
