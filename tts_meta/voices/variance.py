"""The variance that the likelihood's middle leaves out, put back: a global-variance postfilter (Toda & Tokuda 2007).

The acoustic model gives the middle of all the mels a sentence may have, so every cepstral coefficient moves less than
in speech. A voice keeps, for each of the first K coefficients, the ratio of its standard deviation in the speaker's
support clips to that in the model's own prediction of them; synthesis stretches each coefficient around its mean of the
sentence by it. Nothing is trained, and the likelihood that sigma is learned with stays what it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.fft import dct, idct
from torch.func import functional_call

from tts_meta.data.batch import Item, collate
from tts_meta.meta.tree import Tree
from tts_meta.voices.starter import Starter

COEFFICIENTS = 40
"""Of the DCT over the 80 mel bands; the finer half is as much noise as speech (docs/starter.md)."""
LOWEST, HIGHEST = 0.5, 4.0


def spreads(mel: np.ndarray) -> np.ndarray:
    """Standard deviation over the frames of each cepstral coefficient `[K]` of a normalised mel `[L, 80]`."""
    return dct(mel, axis=1, norm="ortho")[:, :COEFFICIENTS].std(0)


@torch.no_grad()
def measure_gains(starter: Starter, deltas: Tree, items: Sequence[Item]) -> np.ndarray:
    """Gains `[K]` of a voice (deltas to phi) from aligned clips of its speaker."""
    params = {k: starter.phi[k] + d for k, d in deltas.items()}
    real, made = [], []
    for item in items:
        out = functional_call(starter.model, params, (collate([item], starter.model.config.reduction),))
        made.append(spreads(out["mel"][0, : len(item.mel)].numpy()))
        real.append(spreads(item.mel))
    return np.clip(np.mean(real, 0) / np.mean(made, 0), LOWEST, HIGHEST).astype(np.float32)


def restore_variance(mel: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """A normalised mel `[L, 80]` whose first coefficients are stretched around their means by `gains` `[K]`."""
    cepstra = dct(mel, axis=1, norm="ortho")
    mean = cepstra.mean(0)
    full = np.ones(mel.shape[1])
    full[: len(gains)] = gains
    return idct((cepstra - mean) * full + mean, axis=1, norm="ortho").astype(np.float32)
