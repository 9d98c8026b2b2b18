"""The variance that the likelihood's middle leaves out, put back: a global-variance postfilter (Toda & Tokuda 2007).

The acoustic model gives the middle of all the mels a sentence may have, so every cepstral coefficient moves less than
in speech. A voice keeps, for each of the first K coefficients, the ratio of its standard deviation in the speaker's
support clips to that in the model's own prediction of them; synthesis stretches each coefficient around its mean of the
sentence by it. The melody is too flat for the same reason (predicted phone pitches spread 1.3 to 2.4 times less than
real ones) and is stretched too, by the square root of its ratio: not all of the missing movement would be at the right
places. Nothing is trained, and the likelihood that sigma is learned with stays what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from tts_meta.data.batch import Item, collate
from tts_meta.meta.tree import Tree
from tts_meta.nets.cepstra import cepstral_basis
from tts_meta.starters.gains import GAINS, HIGHEST, LOWEST, Gains

COEFFICIENTS = GAINS
"""Of the DCT over the 80 mel bands; the finer half is as much noise as speech (docs/experiments.md)."""


def spreads(mel: np.ndarray) -> np.ndarray:
    """Standard deviation over the frames of each cepstral coefficient `[K]` of a normalised mel `[L, 80]`."""
    return (mel @ cepstral_basis(mel.shape[1], COEFFICIENTS).numpy().T).std(0)


@torch.no_grad()
def measure_gains(starter: Any, deltas: Tree, items: Sequence[Item]) -> Gains:
    """Gains of a voice (deltas to the phi of a small starter) from aligned clips of its speaker."""
    params = {k: starter.phi[k] + d for k, d in deltas.items()}
    real, made, melody = [], [], []
    for item in items:
        batch = collate([item], starter.model.config.reduction)
        out = functional_call(starter.model, params, (batch,))
        made.append(spreads(out["mel"][0, : len(item.mel)].numpy()))
        real.append(spreads(item.mel))
        melody.append([float(inner(x["pitch"]).std(correction=0)) for x in (batch, out)])
    ratio = np.clip(np.mean(real, 0) / np.mean(made, 0), LOWEST, HIGHEST).astype(np.float32)
    heard, predicted = np.mean(melody, 0)
    # One-phone clips and monotone models have no spread to compare.
    pitch = float(np.clip(np.sqrt(heard / predicted), LOWEST, HIGHEST)) if min(heard, predicted) > 1e-4 else 1.0
    return Gains(ratio, pitch)


def inner(phones: Tensor) -> Tensor:
    """The phones `[1, P]` of a sentence without the silences it begins and ends with, where there are others."""
    return phones[:, 1:-1] if phones.shape[1] > 2 else phones


def stretch_melody(log_f0: Tensor, gain: float) -> Tensor:
    """Predicted phone pitches `[1, P]`, stretched around their mean of the sentence."""
    mean = inner(log_f0).mean()
    return mean + (log_f0 - mean) * gain


def restore_variance(mel: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """A normalised mel `[L, 80]` whose first coefficients are stretched around their means by `gains` `[K]`."""
    basis = cepstral_basis(mel.shape[1], mel.shape[1]).numpy()
    cepstra = mel @ basis.T
    mean = cepstra.mean(0)
    full = np.ones(mel.shape[1])
    full[: len(gains)] = gains
    return (((cepstra - mean) * full + mean) @ basis).astype(np.float32)
