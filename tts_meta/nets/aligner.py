"""The aligner: how likely a mel frame is under each phone; a hidden Markov model with Gaussian states, no outside aligner.

Every symbol has two states, left to right (a silence symbol has one, and all silence symbols share it), each a diagonal
Gaussian on 16 cepstra of the centred mel and their slopes: the cepstra leave out the harmonics of F0, and the mean over
the utterance takes the channel and much of the speaker with it. The parameters are estimated by Viterbi training
(`tts_meta.training.aligner`), each round a monotonic alignment search; they never move afterwards.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tts_meta.nets.cepstra import cepstral_basis

CEPSTRA = 16
STATES = 2
LOUD = 3.0
"""Nats under an utterance's loud frames (95th percentile of frame energy) from which a frame may be silence."""
LOUD_PENALTY = 20.0
"""Nats that a silence state pays on a frame that is not quiet."""


def alignment_features(mel: Tensor) -> Tensor:
    """Centred mel `[..., L, 80]` (normalised) -> cepstra and their slopes `[..., L, 32]`; L of at least 2."""
    cepstra = mel @ cepstral_basis(mel.shape[-1], CEPSTRA).to(mel).T
    return torch.cat([cepstra, torch.gradient(cepstra, dim=-2)[0]], dim=-1)


def quiet_frames(energy: Tensor) -> Tensor:
    """Which frames of one utterance may be silence: energy `[L]` (nats) -> bool `[L]`.

    With a high noise floor the pauses are not LOUD under the speech; then half way between the two has to do.
    """
    low, high = torch.quantile(energy, 0.05), torch.quantile(energy, 0.95)
    return energy < torch.maximum(high - LOUD, (low + high) / 2)


class Aligner(nn.Module):
    """`mean`, `variance` `[S, STATES, 32]` and `silence` `[S]` (1 for a silence symbol); none has a gradient."""

    def __init__(self, symbols: int) -> None:
        super().__init__()
        shape = (symbols, STATES, 2 * CEPSTRA)
        self.mean = nn.Parameter(torch.zeros(shape), requires_grad=False)
        self.variance = nn.Parameter(torch.ones(shape), requires_grad=False)
        self.silence = nn.Parameter(torch.zeros(symbols), requires_grad=False)

    def states(self, phones: Tensor) -> tuple[Tensor, Tensor]:
        """(row of the flattened `[S * STATES]` tables of every state, phone it belongs to) of phones `[P]`, each `[N]`."""
        count = torch.where(self.silence[phones] > 0, 1, STATES)
        owner = torch.repeat_interleave(torch.arange(len(phones)), count)
        first = torch.cumsum(count, 0) - count
        return phones[owner] * STATES + torch.arange(len(owner)) - first[owner], owner

    def scores(self, features: Tensor, quiet: Tensor) -> Tensor:
        """log p(frame | state) (nats, without the constant): `[L, 32]`, `[L]` -> `[S * STATES, L]`."""
        mean, precision = self.mean.flatten(0, 1), 1 / self.variance.flatten(0, 1)
        square = features**2 @ precision.T - 2 * features @ (mean * precision).T + (mean**2 * precision).sum(1)
        out = (-0.5 * square + 0.5 * precision.log().sum(1)).T
        loud = self.silence.repeat_interleave(STATES).unsqueeze(1) * (~quiet).to(out)
        return out - LOUD_PENALTY * loud
