"""A voice of which only the two styles moved, as Kokoro's own programs take one: `[510, 1, 256]`, a row a length in phonemes.

What it loses: the head and the blocks are the starter's, not Kokoro's, and the speaker's register (rate, pitch) is no style;
so it is a voice near the speaker's, for those programs, and not the clone.
"""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor

from tts_meta.audio.files import replace_file
from tts_meta.errors import InputError
from tts_meta.kokoro.register import REGISTER
from tts_meta.nets.kokoro.speaker_loss import MANNER, TIMBRE
from tts_meta.starters.interface import Network
from tts_meta.voices.voice_file import Voice

ROWS = 510
"""Lengths in phonemes that Kokoro's voices have a style for."""


def styles(starter: Network, voice: Voice) -> Tensor:
    """`[510, 1, 256]`: timbre, then manner. Raises InputError for a voice of the small network, or one that moved more."""
    if starter.kind != "kokoro":
        raise InputError("A voice of the small network has no styles of Kokoro's; make one on the Kokoro network.")
    more = [m for m in voice.deltas if m not in (TIMBRE, MANNER, REGISTER)]
    if more:
        raise InputError(
            f"The voice moved {len(more)} modules ({more[0]}, ...) that a Kokoro voice cannot hold: it is two styles. "
            "Make one that moves only those: tts-meta clone CLIPS --method embedding."
        )
    both = [starter.phi[n] + voice.deltas[n] if n in voice.deltas else starter.phi[n] for n in (TIMBRE, MANNER)]
    return torch.cat(both).float().expand(ROWS, 1, -1).contiguous()


def write_kokoro_voice(path: Path, starter: Network, voice: Voice) -> None:
    """Write it as torch saves a tensor, whole or not at all."""
    blob = io.BytesIO()
    torch.save(styles(starter, voice), blob)
    replace_file(path, blob.getvalue())
