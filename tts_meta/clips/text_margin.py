"""Does a clip say its text? The aligner's best path through the text against its paths through other texts."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from tts_meta.data.batch import Item, best_path, centred_mel, collate
from tts_meta.nets.aligner import alignment_features, quiet_frames
from tts_meta.starters.small_starter import Starter
from tts_meta.text.phonemes import phonemize

DECOYS = 6
_OTHER_TEXTS = (
    "Nobody in the village could remember such a dry and dusty summer, and the farmers were worried about their wheat. "
    "She measured twice, marked the board with a pencil, and then cut it slowly with her father's old saw. "
    "If the museum opens again in October, we should take the children to see the whale and the huge clock. "
    "Thirty fishing boats left the harbour before sunrise, although the wind was rough and fog covered the bay."
)


@lru_cache(maxsize=2)
def _other_phones(starter_digest: str, voice: str, inventory: frozenset[str], encode) -> tuple[int, ...]:
    return tuple(encode(phonemize(_OTHER_TEXTS, voice, inventory=inventory))[0])


@torch.no_grad()
def transcript_margin(starter: Starter, item: Item) -> tuple[float, float]:
    """(mean log-likelihood a frame of the best path through the clip's phones, how much that is above the best of
    DECOYS other texts of as many phones), nats. A margin under 0 says that any other text fits as well."""
    batch = collate([replace(item, durations=None)])
    mel = centred_mel(batch)[0, : len(item.mel)]
    quiet = quiet_frames(batch["energy_nats"][0, : len(item.mel)])
    aligner = starter.model.aligner
    scores = aligner.scores(alignment_features(mel), quiet)
    own = best_path(aligner, scores, torch.tensor(item.phones))[2]
    stream = _other_phones(starter.digest, starter.espeak_voice, starter.table.inventory, starter.table.encode)
    inner = len(item.phones) - 2  # silence at both ends, as in every text
    found = []
    for start in np.linspace(1, max(1, len(stream) - inner - 1), DECOYS).astype(int):
        middle = (stream[start:] + stream[1:-1] * (1 + inner // len(stream)))[:inner]
        phones = torch.tensor([item.phones[0], *middle, item.phones[-1]])
        found.append(best_path(aligner, scores, phones)[2])
    return own, own - max(found)
