"""Text into a mel by the small network: phonemes -> durations, pitch, energy -> log-mel."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from tts_meta.data.batch import frame_features, frame_index, line_through
from tts_meta.meta.tree import Tree
from tts_meta.starters.gains import Gains
from tts_meta.starters.interface import Controls
from tts_meta.starters.variance import restore_variance, stretch_melody

LONGEST_PHONE = 120  # frames: 1.4 s


def small_mel(
    s: Any, params: Tree, said: tuple[list[int], list[int], list[float]], controls: Controls, gains: Gains | None
) -> tuple[np.ndarray, np.ndarray]:
    """Log-mel `[L, 80]` (nats) and frames a phone `[P]` of one sentence: ids, stresses and emphasis (0 or 1) of its phones."""
    ids, stress, weight = said
    emphasis = torch.tensor([weight])
    longer, semitones, louder = controls.emphasis
    batch = {"phones": torch.tensor([ids]), "stress": torch.tensor([stress]), "phone_mask": torch.ones(1, len(ids))}
    model = s.model

    def call(fn: str, *args) -> Tensor:
        return functional_call(_Method(model, fn), {f"model.{k}": v for k, v in params.items()}, args)

    h = call("encode", batch["phones"], batch["stress"], batch["phone_mask"])
    log_duration, log_f0, level = call("predict", h, batch["phone_mask"])
    durations = (log_duration.exp() * (1 + (longer - 1) * emphasis) / controls.speed).round().clamp(1, LONGEST_PHONE)
    if gains is not None:
        log_f0 = stretch_melody(log_f0, gains.pitch)
    log_f0 = log_f0 + (controls.pitch + semitones * emphasis) * float(np.log(2) / 12) / s.norm.pitch_std
    level = level + (controls.energy + louder * emphasis) * float(np.log(10) / 20) / s.norm.energy_std
    frames = int(durations.sum())
    padded = frames + -frames % model.config.reduction
    batch |= {
        "energy": level, "frame_phone": frame_index(durations, padded),
        "frame_features": frame_features(s.norm.hertz(line_through(log_f0, durations, padded)), durations),
        "frame_mask": torch.ones(1, padded),
    }
    mel = call("decode", h, batch)[0, :frames].float().numpy()
    if gains is not None:
        mel = restore_variance(mel, gains.cepstra)
    return s.norm.mel_inverse(mel), durations[0].int().numpy()


class _Method(torch.nn.Module):
    """A method of the model as a module, so that functional_call can reach it."""

    def __init__(self, model: torch.nn.Module, name: str) -> None:
        super().__init__()
        self.model = model
        self.name = name

    def forward(self, *args):
        return getattr(self.model, self.name)(*args)
