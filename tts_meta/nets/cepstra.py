"""The cosine transform that makes cepstra of mels, for the aligner, the likelihoods, the measures and the exported graphs."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cepstral_basis(mels: int, count: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """The first rows of the orthonormal DCT-II `[count, mels]`, made in `dtype`; its transpose is the inverse of the whole."""
    k, n = torch.arange(count, dtype=dtype).unsqueeze(1), torch.arange(mels, dtype=dtype).unsqueeze(0)
    rows = torch.cos(math.pi * k * (n + 0.5) / mels) * math.sqrt(2 / mels)
    rows[0] /= math.sqrt(2)
    return rows
